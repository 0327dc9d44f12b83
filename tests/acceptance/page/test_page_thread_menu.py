"""What can be done with a conversation from the list: rename, archive, take back, delete."""

from __future__ import annotations

from tests.acceptance.page.answers import refusal
from tests.acceptance.page.reader import Reader, expect


class TestRename:
    def test_enter_saves_the_name_in_its_place(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.menu("Spain", "Rename")
        field = keeper.page.get_by_role("textbox", name="Name")
        expect(field).to_be_focused()
        expect(field).to_have_value("Spain")
        field.fill("  Numbers ")
        field.press("Enter")

        expect(keeper.threads).to_have_text(["Numbers"])
        expect(keeper.page).to_have_title("Numbers · Chat")
        expect(keeper.button("Options for Numbers")).to_be_focused()
        keeper.hears("Renamed.")
        (call,) = keeper.kept.calls("PATCH ")
        assert (call.path, call.body) == (f"/threads/{thread.uuid}/", {"name": "Numbers"})

    def test_going_elsewhere_saves_too(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.open_kept()
        keeper.menu("Spain", "Rename")
        keeper.page.get_by_role("textbox", name="Name").fill("Numbers")
        keeper.box.click()

        keeper.until(lambda: len(keeper.kept.calls("PATCH ")) == 1)
        expect(keeper.threads).to_have_text(["Numbers"])
        expect(keeper.box).to_be_focused()

    def test_escape_and_an_empty_name_change_nothing(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.open_kept()
        for name, key in (("Numbers", "Escape"), ("", "Enter"), ("Spain", "Enter")):
            keeper.menu("Spain", "Rename")
            keeper.page.get_by_role("textbox", name="Name").fill(name)
            keeper.page.keyboard.press(key)
            expect(keeper.threads).to_be_visible()

        assert keeper.kept.calls("PATCH ") == []

    def test_a_name_that_was_refused_stays_in_the_field(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.kept.refuse("PATCH ", refusal(400, {"name": ["Not this name."]}))
        keeper.open_kept()
        keeper.menu("Spain", "Rename")
        keeper.page.get_by_role("textbox", name="Name").fill("Numbers")
        keeper.page.keyboard.press("Enter")

        expect(keeper.page.locator("#side-notice")).to_have_text("Not this name.")
        expect(keeper.page.get_by_role("textbox", name="Name")).to_have_value("Numbers")
        keeper.page.keyboard.press("Escape")
        expect(keeper.threads).to_have_text(["Spain"])


class TestArchive:
    def test_archived_ones_are_seen_apart_and_come_back(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.kept.thread("Italy")
        keeper.open_kept()
        keeper.menu("Italy", "Archive")
        expect(keeper.threads).to_have_text(["Spain"])
        expect(keeper.page.get_by_role("link", name="Spain")).to_be_focused()
        keeper.hears("Archived.")

        keeper.button("Archived").click()
        expect(keeper.button("Archived")).to_have_attribute("aria-pressed", "true")
        expect(keeper.threads).to_have_text(["Italy"])
        keeper.menu("Italy", "Unarchive")
        expect(keeper.page.get_by_text("No archived conversations.")).to_be_visible()
        keeper.button("Archived").click()
        expect(keeper.threads).to_have_text(["Italy", "Spain"])

    def test_an_archived_one_can_be_read(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno", is_archived=True)
        keeper.open_kept()
        keeper.button("Archived").click()
        keeper.page.get_by_role("link", name="Spain").click()

        expect(keeper.answer).to_have_text("Uno")

    def test_what_could_not_be_archived_stays(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.kept.refuse("POST ", refusal(503, {"detail": "Busy."}))
        keeper.open_kept()
        keeper.menu("Spain", "Archive")

        expect(keeper.page.locator("#side-notice")).to_have_text("Busy.")
        expect(keeper.threads).to_have_text(["Spain"])


class TestDelete:
    def test_it_is_asked_before_and_gone_afterwards(self, keeper: Reader) -> None:
        keeper.kept.thread("Italy", "One?", "Due")
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.menu("Spain", "Delete")
        dialog = keeper.page.get_by_role("dialog", name="Delete “Spain”?")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        dialog.get_by_role("button", name="Delete").click()

        expect(keeper.threads).to_have_text(["Italy"])
        expect(keeper.log).to_be_empty()
        assert keeper.page.url == f"{keeper.server.url}/kept/"
        assert list(keeper.kept.threads) != [thread.uuid]

    def test_another_one_than_the_open_one_leaves_that_open(self, keeper: Reader) -> None:
        keeper.kept.thread("Italy", "One?", "Due")
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.menu("Italy", "Delete")
        keeper.page.locator("#deletion").get_by_role("button", name="Delete").click()

        expect(keeper.threads).to_have_text(["Spain"])
        expect(keeper.answer).to_have_text("Uno")

    def test_no_and_escape_keep_it(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.open_kept()
        keeper.menu("Spain", "Delete")
        keeper.page.locator("#deletion").get_by_role("button", name="Cancel").click()
        expect(keeper.page.locator("#deletion")).to_be_hidden()
        keeper.page.locator("#threads").get_by_role("button", name="Delete").click()
        keeper.page.keyboard.press("Escape")

        expect(keeper.page.locator("#deletion")).to_be_hidden()
        expect(keeper.threads).to_have_text(["Spain"])
        assert keeper.kept.calls("DELETE ") == []

    def test_one_menu_is_open_at_a_time(self, keeper: Reader) -> None:
        keeper.kept.thread("Italy")
        keeper.kept.thread("Spain")
        keeper.open_kept()
        keeper.button("Options for Spain").click()
        keeper.button("Options for Italy").click()

        expect(keeper.button("Rename")).to_have_count(1)
        expect(keeper.button("Options for Spain")).to_have_attribute("aria-expanded", "false")
        expect(keeper.button("Options for Italy")).to_have_attribute("aria-expanded", "true")
