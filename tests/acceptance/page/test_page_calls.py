"""Calls of tools on the page: a line for each, the same while the answer is written and after a reload."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.acceptance.page.answers import END, SOON, START, Answer, Step, at, delta, event, words
from tests.acceptance.page.keeping import Thread
from tests.acceptance.page.reader import Reader, expect

CALL, OTHER = f"{8:032}", f"{9:032}"
LINKS = {
    "key": "homeport_nav",
    "links": [
        {"label": "Project", "url": "/projects/1/", "variant": "primary", "subtitle": "Apollo"},
        {"label": "Script", "url": "javascript:alert(1)"},
        {"label": "Mail", "url": "mailto:a@example.com"},
        {"label": "<img src=x>", "url": "https://elsewhere.example/"},
    ],
}
FORM = {
    "key": "ask_user_form",
    "context": "This is needed.",
    "questions": [
        {"id": "q0", "question": "Which project?", "header": "Project", "allowFreeText": False,
         "options": [{"id": "q0o0", "label": "Apollo", "description": "Old"}, {"id": "q0o1", "label": "Gemini"}]},
        {"id": "q1", "question": "Which name?", "header": ""},
    ],
}  # fmt: skip
RESOURCES = {
    "key": "resource_list",
    "project_uuid": "5",
    "state": ["OK"],
    "rows": [{"label": "web-1", "url": "/vms/1/"}],
}
ORDER = {"key": "vm_order", "status": "preview", "name": "web-1", "id": "blk_1", "network": ""}


def called(uuid: str = CALL, tool: str = "list_projects", **fields: Any) -> bytes:
    return event("tool_call", call_uuid=uuid, tool=tool, **{"arguments": {"state": ["OK"]}, **fields})


def answered(uuid: str = CALL, outcome: str = "done", **fields: Any) -> bytes:
    return event("tool_result", call_uuid=uuid, tool="list_projects", outcome=outcome, **fields)


def stored(thread: Thread, position: int = 0, block: Any = None, **tool: Any) -> None:
    """Let the last answer have called a tool, as the API tells it."""
    known = {"call_uuid": CALL, "name": "list_projects", "arguments": {"state": ["OK"]}, "outcome": "done"}
    result = block or {"key": "markdown", "content": ""}
    call = {"key": "tool", "position": position, "tool": {**known, **tool}, "result": result}
    thread.last("assistant")["blocks"] = [call]


def parts(reader: Reader) -> list[str]:
    """What stands in the last answer, in its order."""
    script = "root => [...root.children].map((node) => (node.querySelector('summary') ?? node).textContent.trim())"
    found: list[str] = reader.page.locator(".parts").last.evaluate(script)
    return found


def test_a_call_is_a_line_between_the_texts(reader: Reader) -> None:
    reader.ask("Hi", words("Let me see.", called(), Step.WAIT, answered(summary="Two."), "\n\nThere are two.", END))
    expect(reader.page.locator(".call .state")).to_have_text("running")
    reader.hears("The assistant calls a tool: list projects")
    reader.server.go()
    expect(reader.log.locator("[aria-busy]")).to_have_count(0)
    assert parts(reader) == ["Let me see.", "list projects done", "There are two."]
    reader.page.locator(".call summary").focus()
    reader.page.keyboard.press("Enter")
    expect(reader.page.locator(".call dl")).to_have_text('state["OK"]')
    expect(reader.page.locator(".call .result p")).to_have_text("Two.")


def test_after_a_reload_the_line_is_where_it_was(keeper: Reader) -> None:
    thread = keeper.kept.thread("Spain", "Hi", "Let me see 🙂.\n\nThere are two.")
    stored(thread, position=len("Let me see 🙂."), summary="Two.")
    keeper.kept.results[CALL] = '{"rows": []}'
    keeper.open_kept(thread.uuid)
    expect(keeper.page.locator(".call")).to_have_count(1)
    assert parts(keeper) == ["Let me see 🙂.", "list projects done", "There are two."]
    keeper.page.locator(".call summary").click()
    expect(keeper.page.locator(".call pre")).to_have_text('{\n  "rows": []\n}')


def test_who_rejoins_sees_each_call_once(keeper: Reader) -> None:
    first = Answer(body=(START, SOON, b"id: 3\n" + called(), at("3", "one")))
    rest = Answer(body=(SOON, called(), answered(), called(OTHER), answered(OTHER, "failed"), delta(" two"), END))
    keeper.server.rest(rest)
    keeper.open_kept()
    keeper.ask("Hi", first)
    expect(keeper.page.locator(".call .state")).to_have_text(["done", "failed"])
    expect(keeper.log.locator("[aria-busy]")).to_have_count(0)
    assert parts(keeper) == ["list projects done", "one", "list projects failed", "two"]


def test_an_answer_of_calls_alone_stays(reader: Reader) -> None:
    reader.ask_and_wait("Hi", words(called(), END))
    assert parts(reader) == ["list projects end unknown"]


@pytest.mark.parametrize("is_stored", [False, True])
def test_links_lead_to_pages_only(keeper: Reader, is_stored: bool) -> None:
    if is_stored:
        thread = keeper.kept.thread("Spain", "Hi", "Uno")
        stored(thread, block=LINKS)
        keeper.open_kept(thread.uuid)
    else:
        keeper.open().ask_and_wait("Hi", words(called(), answered(block=LINKS), "Uno", END))
    links = keeper.page.get_by_role("navigation", name="Links")
    expect(links.get_by_role("link")).to_have_text(["Project", "<img src=x>"])
    expect(links.get_by_role("listitem")).to_have_text(["ProjectApollo", "Script", "Mail", "<img src=x>"])
    assert links.locator("img").count() == 0


@pytest.mark.parametrize(("block", "shown"), [(RESOURCES, 'project uuid5state["OK"]web-1'), (ORDER, "statuspreview")])
def test_other_blocks_are_shown_as_fields(reader: Reader, block: dict[str, Any], shown: str) -> None:
    reader.ask_and_wait("Hi", words(called(), answered(block=block), "Uno", END))
    expect(reader.page.locator(".block .card")).to_contain_text(shown)


def test_an_unknown_block_is_not_shown(reader: Reader) -> None:
    reader.ask_and_wait("Hi", words(called(), answered(block={"key": "constructor"}), "Uno", END))
    expect(reader.page.locator(".block")).to_be_empty()


def test_a_form_is_answered_in_words(reader: Reader) -> None:
    reader.ask_and_wait("Hi", words(called(), answered(block=FORM), END))
    reader.hears("The assistant waits for you.")
    form = reader.page.get_by_role("form", name="The assistant asks")
    expect(form.get_by_role("group", name="Which project?").get_by_role("textbox")).to_have_count(0)
    form.get_by_role("radio", name="Gemini").focus()
    reader.page.keyboard.press("Space")
    form.get_by_role("button", name="Answer").click()
    assert len(reader.server.asked) == 1, "the name is missing"
    form.get_by_role("textbox", name="Your answer").fill("web-2")
    reader.server.answer(words("Uno", END))
    reader.page.keyboard.press("Enter")
    expect(reader.answer).to_have_text("Uno")
    assert reader.server.asked[-1].input.endswith('Project: Gemini. Which name?: "web-2".')
    expect(form.get_by_role("radio", name="Gemini")).to_be_disabled()
    expect(form.get_by_role("button")).to_have_count(0)


def test_a_form_that_was_answered_is_locked_after_a_reload(keeper: Reader) -> None:
    thread = keeper.kept.thread("Spain", "Hi", "Which?")
    stored(thread, block=FORM)
    thread.add(keeper.kept.uuid(), "user", "Project: Apollo.", 2)
    keeper.open_kept(thread.uuid)
    expect(keeper.page.get_by_role("radio", name="Apollo")).to_be_disabled()


def test_calls_are_printed_as_lines(reader: Reader) -> None:
    reader.ask_and_wait("Hi", words(called(), answered(summary="Two.", block=LINKS), "Uno", END))
    reader.page.locator(".call summary").click()
    reader.page.emulate_media(media="print")
    expect(reader.page.locator(".call summary")).to_be_visible()
    expect(reader.page.locator(".call .arguments")).to_be_hidden()
    expect(reader.page.get_by_role("link", name="Project")).to_be_visible()


class TestApprovals:
    """A call that waits for its user."""

    ARGUMENTS = {"name": "web-1", "project": "3f2a-77", "size": 4, "tags": ["a", "b"], "later": "x", "other": "y"}
    ORIGINS = {
        "name": [{"source": "user"}],
        "project": [{"source": "result", "tool": "list_projects"}],
        "size": [{"source": "model"}],
        "tags": [{"source": "user"}, {"source": "model"}],
        "later": [{"source": "a source of a later release"}],
    }
    LATER, EARLIER = "2999-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00"

    @pytest.fixture
    def waiting(self, keeper: Reader) -> Reader:
        """Somebody who opens a conversation in which a call waits."""
        thread = keeper.kept.thread("Spain", "Hi", "Shall I?")
        stored(thread, outcome=None, approval="needed", expires=self.LATER)
        return keeper.open_kept(thread.uuid)

    @pytest.mark.parametrize(("act", "outcome"), [("Approve", "done"), ("Deny", "denied")])
    def test_the_user_decides_and_the_answer_goes_on(self, waiting: Reader, act: str, outcome: str) -> None:
        body = (START, called(), answered(outcome=outcome), delta("So be it."), END)
        waiting.kept.decisions.append(Answer(body=body))
        card = waiting.page.get_by_role("group", name="Approval: list projects")
        expect(card).to_contain_text("You can decide until")
        expect(waiting.page.locator(".call dl")).to_be_visible()
        card.get_by_role("button", name=act).press("Enter")
        expect(waiting.page.locator(".call .state")).to_have_text([outcome])
        expect(waiting.answer).to_have_text("So be it.")
        expect(card).to_have_count(0)
        assert [call.path for call in waiting.kept.calls("POST /tool-calls")] == [f"/tool-calls/{CALL}/{act.lower()}/"]
        assert waiting.box.evaluate("node => node === document.activeElement")

    @pytest.mark.parametrize("is_stored", [False, True])
    def test_arguments_say_where_they_come_from(self, keeper: Reader, is_stored: bool) -> None:
        waits = {"arguments": self.ARGUMENTS, "origins": self.ORIGINS, "approval": "needed", "expires": self.LATER}
        if is_stored:
            thread = keeper.kept.thread("Spain", "Hi", "Shall I?")
            stored(thread, outcome=None, **waits)
            keeper.open_kept(thread.uuid)
        else:
            keeper.open_kept().ask_and_wait("Hi", words(called(**waits), END))
        expect(keeper.page.locator(".call dd")).to_have_text([
            "web-1 from you",
            "3f2a-77 from the result of “list projects”",
            "4 made by the model",
            '["a","b"] in parts: from you and made by the model',
            "x made by the model",
            "y",
        ])  # fmt: skip
        card = keeper.page.get_by_role("group", name="Approval: list projects")
        expect(card).to_have_accessible_description(re.compile("name web-1 from you project 3f2a-77 from the result"))

    def test_hidden_characters_of_arguments_are_seen(self, keeper: Reader) -> None:
        hidden = {"name": "web\u202eexe\u200b", "tags": ["a\U000e0041"]}
        body = words(called(arguments=hidden, approval="needed", expires=self.LATER), END)
        keeper.open_kept().ask_and_wait("Hi", body)
        expect(keeper.page.locator(".call dd")).to_have_text(["web\\u{202e}exe\\u{200b}", '["a\\u{e0041}"]'])

    def test_a_form_that_follows_an_approval_can_be_answered(self, waiting: Reader) -> None:
        waiting.kept.decisions.append(Answer(body=(START, called(), answered(block=FORM), END)))
        waiting.button("Approve").click()
        expect(waiting.page.locator(".call .state")).to_have_text("done")
        expect(waiting.log.get_by_role("article")).to_have_count(1)
        form = waiting.page.get_by_role("form", name="The assistant asks")
        form.get_by_role("radio", name="Gemini").press("Space")
        form.get_by_role("textbox", name="Your answer").fill("web-2")
        waiting.server.answer(words("Uno", END))
        waiting.page.keyboard.press("Enter")
        expect(waiting.answer).to_have_text("Uno")
        assert waiting.server.asked[-1].input == 'Project: Gemini. Which name?: "web-2".'

    def test_a_decision_while_others_wait_is_shown(self, waiting: Reader) -> None:
        row = Answer(body=(json.dumps({"status": "approved"}).encode(),), headers={"Content-Type": "application/json"})
        waiting.kept.decisions.append(row)
        waiting.button("Approve").click()
        expect(waiting.page.locator(".call .state")).to_have_text("approved")
        expect(waiting.log.get_by_role("article")).to_have_count(1)

    def test_what_was_decided_elsewhere_is_read_again(self, waiting: Reader) -> None:
        decided = {"detail": "It was denied.", "code": "tool_call_decided"}
        refused = Answer(status=409, body=(json.dumps(decided).encode(),), headers={"Content-Type": "application/json"})
        waiting.kept.decisions.append(refused)
        (thread,) = waiting.kept.threads.values()
        expect(waiting.button("Approve")).to_be_visible()
        stored(thread, outcome="denied")
        waiting.button("Approve").click()
        expect(waiting.page.locator(".call .state")).to_have_text("denied")
        expect(waiting.page.get_by_text("It was denied.")).to_be_visible()

    def test_who_asks_further_decides_no_more(self, waiting: Reader) -> None:
        expect(waiting.button("Approve")).to_be_visible()
        waiting.ask_and_wait("Or else?", words("Uno", END))
        expect(waiting.page.locator(".call .state")).to_have_text("expired, not done")
        expect(waiting.button("Approve")).to_have_count(0)

    def test_an_expired_call_has_no_buttons(self, keeper: Reader) -> None:
        keeper.open_kept().ask_and_wait("Hi", words(called(approval="needed", expires=self.EARLIER), END))
        expect(keeper.page.locator(".call .state")).to_have_text("expired, not done")
        expect(keeper.page.locator(".approval")).to_be_hidden()

    def test_where_nobody_can_decide_there_are_no_buttons(self, reader: Reader) -> None:
        reader.ask_and_wait("Hi", words(called(approval="needed", expires=self.LATER), END))
        expect(reader.page.locator(".call .state")).to_have_text("waits for you")
        expect(reader.button("Approve")).to_have_count(0)
