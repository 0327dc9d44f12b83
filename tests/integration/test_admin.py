"""The admin: conversations are read and leave a record, limits and prompts are changed, usage is shown."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import checks
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.integration.stored import days_ago, thread_of
from waldur_chat.admin.base import BoundedPaginator
from waldur_chat.models import (
    Budget,
    DayOfUsage,
    Message,
    Reading,
    SystemPrompt,
    SystemPromptVersion,
    Thread,
    ToolCall,
)
from waldur_chat.store.conversations import system_prompts

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
LISTS = ("thread", "message", "toolcall", "budget", "systemprompt", "dayofusage", "reading")
READ_ONLY = ("thread", "message", "toolcall", "dayofusage", "reading")


def address(model: str, page: str = "changelist", *arguments: Any) -> str:
    """Where this page of this model is."""
    return reverse(f"admin:waldur_chat_{model}_{page}", args=arguments)


@pytest.fixture
def root(db: None) -> Any:
    """A user who may do everything."""
    return get_user_model().objects.create_superuser("root")


@pytest.fixture
def admin(root: Any) -> Client:
    """A browser in which that user is logged in."""
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def thread(user: Any) -> Thread:
    """A conversation with hostile words."""
    return thread_of(user, f"{HOSTILE}\n  two", "An answer", name=f"{HOSTILE} name", modified=days_ago(1))


@pytest.fixture
def everything(thread: Thread, user: Any, root: Any) -> dict[str, Any]:
    """A row of each model."""
    return {
        "thread": thread,
        "message": thread.messages.first(),
        "toolcall": ToolCall.objects.create(user=user, thread=thread, tool="project-list", arguments=f'"{HOSTILE}"'),
        "budget": Budget.objects.create(user=user, daily_limit=10),
        "systemprompt": system_prompts.create(root, name="Default", custom_instructions="Be kind."),
        "dayofusage": DayOfUsage.objects.create(day=date(2026, 7, 1), user=user, model="m", turns=1),
        "reading": Reading.objects.create(reader=root, owner=user, thread=thread.uuid, place="api"),
    }


def page(client: Client, where: str, **query: Any) -> str:
    """The page at this address, which must be there."""
    response = client.get(where, query)
    assert response.status_code == 200
    return response.content.decode()


def test_django_finds_nothing_to_mend() -> None:
    assert checks.run_checks(tags=["admin", "models", "templates"]) == []


@pytest.mark.parametrize("model", LISTS)
def test_every_list_and_every_row_is_shown(admin: Client, everything: dict[str, Any], model: str) -> None:
    assert page(admin, address(model))
    assert page(admin, address(model, "change", everything[model].pk))


def test_the_list_of_readings_is_called_by_the_term_of_the_field(admin: Client) -> None:
    assert "audit entries" in page(admin, reverse("admin:index")).lower()
    assert "Select audit entry to view" in page(admin, address("reading"))


@pytest.mark.parametrize("model", LISTS)
def test_every_list_can_be_searched(admin: Client, everything: dict[str, Any], model: str) -> None:
    assert "0 results" in page(admin, address(model), q="nowhere")


@pytest.mark.parametrize("model", LISTS)
def test_what_is_shown_is_escaped(admin: Client, everything: dict[str, Any], user: Any, model: str) -> None:
    type(user).objects.filter(pk=user.pk).update(username=HOSTILE)
    SystemPrompt.objects.update(name=HOSTILE)
    SystemPromptVersion.objects.update(custom_instructions=HOSTILE)
    DayOfUsage.objects.update(model=HOSTILE)
    for where in (address(model), address(model, "change", everything[model].pk)):
        assert HOSTILE not in page(admin, where)


@pytest.mark.parametrize("model", READ_ONLY)
def test_nothing_is_added_changed_or_deleted(admin: Client, everything: dict[str, Any], model: str) -> None:
    key = everything[model].pk
    wheres = [address(model, "add"), address(model, "change", key), address(model, "delete", key)]
    assert [admin.post(where, {"post": "yes"}).status_code for where in wheres] == [403, 403, 403]


def test_a_user_with_conversations_can_still_be_deleted(admin: Client, everything: dict[str, Any], user: Any) -> None:
    where = reverse(f"admin:{user._meta.app_label}_{user._meta.model_name}_delete", args=[user.pk])
    assert admin.post(where, {"post": "yes"}).status_code == 302
    assert (Thread.objects.count(), Budget.objects.count(), DayOfUsage.objects.count()) == (0, 0, 1)


@pytest.mark.parametrize("model", LISTS)
def test_a_list_has_a_fixed_number_of_queries(admin: Client, root: Any, model: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(admin, address(model))
        return len(queries)

    def grow(number: int) -> None:
        user = get_user_model().objects.create_user(f"user{number}")
        thread = thread_of(user, "a", "b")
        Budget.objects.create(user=user)
        SystemPrompt.objects.create(name="a")
        DayOfUsage.objects.create(day=date(2026, 7, 1), user=user, model="m")
        Reading.objects.create(reader=user, owner=user, thread=thread.uuid, place="api")

    grow(0)
    before = count()
    for number in range(1, 9):
        grow(number)
    assert count() == before


def test_a_list_counts_no_further_than_it_shows(admin: Client, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "ROWS", 3)
    for _ in range(5):
        thread_of(user)
    assert "3 threads" in page(admin, address("thread"))


# Conversations


def test_a_thread_is_shown_with_its_words_as_they_were_written(admin: Client, thread: Thread) -> None:
    shown = page(admin, address("thread", "change", thread.pk))
    assert '<pre class="waldur-chat-text">&lt;script&gt;alert(1)&lt;/script&gt;\n  two</pre>' in shown


def test_a_message_is_shown_with_its_words_as_they_were_written(admin: Client, thread: Thread) -> None:
    shown = page(admin, address("message", "change", thread.messages.first().pk))
    assert '<pre class="waldur-chat-text">&lt;script&gt;alert(1)&lt;/script&gt;\n  two</pre>' in shown


def test_a_replaced_version_is_called_so(admin: Client, thread: Thread) -> None:
    Message.objects.create(thread=thread, role="assistant", text="Old", sequence_index=1, is_current=False)
    assert page(admin, address("thread", "change", thread.pk)).count("replaced by a later version") == 1


def test_a_thread_shows_how_an_answer_ended_that_is_not_complete(admin: Client, thread: Thread) -> None:
    thread.messages.filter(role="assistant").update(status="failed", code="provider_failed")
    shown = page(admin, address("thread", "change", thread.pk))
    assert shown.count("Failed (provider_failed)") == 1
    assert "Complete" not in shown


def test_messages_are_found_by_how_they_ended(admin: Client, thread: Thread) -> None:
    thread.messages.filter(role="assistant").update(status="stopped", code="cancelled")
    assert "1 message" in page(admin, address("message"), status__exact="stopped")


def test_a_long_thread_has_pages(admin: Client, user: Any) -> None:
    thread = thread_of(user, *(f"word{number}." for number in range(101)))
    where = address("thread", "change", thread.pk)
    assert "word100." not in page(admin, where)
    assert "word100." in page(admin, where, page="2")


def test_lists_show_no_words(admin: Client, user: Any) -> None:
    thread_of(user, "confidential")
    assert "confidential" not in page(admin, address("message")) + page(admin, address("thread"))


@pytest.mark.parametrize("term", ["alice", "example.org", "some name", "{uuid}", "{dashes}"])
def test_a_thread_is_found_by_owner_name_and_uuid(admin: Client, user: Any, term: str) -> None:
    type(user).objects.update(email="a@example.org")
    found = thread_of(user, name="some name")
    thread_of(get_user_model().objects.create_user("bob"), name="other")
    shown = page(admin, address("thread"), q=term.format(uuid=found.uuid.hex, dashes=found.uuid))
    assert "1 result" in shown
    assert "some name" in shown


def test_users_need_no_mail(admin: Client, thread: Thread, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(user), "EMAIL_FIELD", "mail")
    assert "1 result" in page(admin, address("thread"), q="alice")


def test_a_message_is_found_by_its_words(admin: Client, thread: Thread) -> None:
    assert "1 result" in page(admin, address("message"), q="An answer")


@pytest.mark.parametrize("model", ["thread", "message"])
def test_reading_a_conversation_leaves_a_record(
    admin: Client, everything: dict[str, Any], root: Any, user: Any, model: str
) -> None:
    Reading.objects.all().delete()
    page(admin, address(model, "change", everything[model].pk))
    reading = Reading.objects.get()
    expected = (root, user, everything["thread"].uuid, "admin")
    assert (reading.reader, reading.owner, reading.thread, reading.place) == expected


def test_reading_a_call_of_a_tool_leaves_a_record_if_it_has_a_conversation(
    admin: Client, thread: Thread, user: Any
) -> None:
    for of_thread in (thread, None):
        call = ToolCall.objects.create(user=user, thread=of_thread, tool="project-list")
        assert call.uuid.hex in page(admin, address("toolcall", "change", call.pk))
    assert Reading.objects.get().thread == thread.uuid


def test_reading_ones_own_conversation_leaves_none(admin: Client, root: Any) -> None:
    page(admin, address("thread", "change", thread_of(root).pk))
    assert not Reading.objects.exists()


def test_what_is_not_there_leaves_no_record(admin: Client) -> None:
    assert admin.get(address("thread", "change", 4711)).status_code == 302
    assert not Reading.objects.exists()


def test_without_a_record_nothing_is_shown(admin: Client, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr(Reading.objects, "create", fail)
    with pytest.raises(RuntimeError, match="no record"):
        admin.get(address("thread", "change", thread.pk))


def test_who_has_no_permission_reads_nothing(thread: Thread) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("staff", is_staff=True))
    assert client.get(address("thread", "change", thread.pk)).status_code == 403
    assert not Reading.objects.exists()


# Limits


def limits(**values: Any) -> dict[str, Any]:
    """What the form sends."""
    return {"daily_limit": "", "weekly_limit": "", "monthly_limit": "", **values}


def test_limits_are_changed_and_nothing_else(admin: Client, user: Any) -> None:
    budget = Budget.objects.create(user=user, daily_limit=1, daily_tokens=5)
    admin.post(address("budget", "change", budget.pk), limits(weekly_limit=-1, daily_tokens=0, user=""))
    budget.refresh_from_db()
    assert (budget.user, budget.daily_limit, budget.weekly_limit, budget.daily_tokens) == (user, None, -1, 5)


def test_what_turns_use_meanwhile_is_not_lost(admin: Client, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget.objects.create(user=user, daily_tokens=5)
    clean = Budget.full_clean

    def charge(self: Budget, *arguments: Any, **options: Any) -> None:
        Budget.objects.update(daily_tokens=F("daily_tokens") + 1)
        clean(self, *arguments, **options)

    monkeypatch.setattr(Budget, "full_clean", charge)
    admin.post(address("budget", "change", budget.pk), limits(daily_limit=7))
    budget.refresh_from_db()
    assert (budget.daily_limit, budget.daily_tokens) == (7, 6)


def test_a_user_who_has_no_account_yet_gets_limits(admin: Client, user: Any) -> None:
    admin.post(address("budget", "add"), limits(user=user.pk, daily_limit=0))
    assert Budget.objects.get(user=user).daily_limit == 0


def test_a_limit_below_minus_one_is_refused(admin: Client, user: Any) -> None:
    budget = Budget.objects.create(user=user)
    assert "-1" in admin.post(address("budget", "change", budget.pk), limits(daily_limit=-2)).content.decode()
    assert Budget.objects.get().daily_limit is None


def test_tokens_of_an_earlier_period_are_not_shown(admin: Client, user: Any) -> None:
    Budget.objects.create(
        user=user, day=date(2020, 1, 1), daily_tokens=4711, month=date(2020, 1, 1), monthly_tokens=4711
    )
    assert "4711" not in page(admin, address("budget"))


# System prompts


def prompt(**values: Any) -> dict[str, Any]:
    """What the form sends."""
    rows = {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0, "MIN_NUM_FORMS": 0, "MAX_NUM_FORMS": 0}
    form = {f"versions-{name}": value for name, value in rows.items()}
    return {**form, "name": "Default", "description": "", "custom_instructions": "Be kind.", **values}


def test_a_new_prompt_has_a_first_version_by_its_author(admin: Client, root: Any) -> None:
    admin.post(address("systemprompt", "add"), prompt())
    version = SystemPromptVersion.objects.get()
    assert (version.prompt.name, version.number, version.author) == ("Default", 1, root)


def test_a_change_of_the_instructions_is_a_version(admin: Client, root: Any) -> None:
    kept = system_prompts.create(root, name="Default", custom_instructions="Be kind.")
    admin.post(address("systemprompt", "change", kept.pk), prompt(custom_instructions="Be brief."))
    assert list(kept.versions.values_list("number", "custom_instructions")) == [(1, "Be kind."), (2, "Be brief.")]


def test_a_change_of_the_name_is_none(admin: Client, root: Any) -> None:
    kept = system_prompts.create(root, name="Default", custom_instructions="Be kind.")
    admin.post(address("systemprompt", "change", kept.pk), prompt(name="Kind"))
    kept.refresh_from_db()
    assert (kept.name, kept.versions.count()) == ("Kind", 1)


def act(client: Client, action: str, *chosen: SystemPrompt) -> str:
    """Choose an action of the list for some prompts, and see what it says."""
    data = {"action": action, "_selected_action": [one.pk for one in chosen]}
    return client.post(address("systemprompt"), data, follow=True).content.decode()


def test_a_prompt_is_activated_and_deactivated(admin: Client, root: Any) -> None:
    one = system_prompts.create(root, name="One")
    assert "One is active now." in act(admin, "activate", one)
    act(admin, "deactivate", one)
    assert not SystemPrompt.objects.filter(is_active=True).exists()


def test_two_prompts_cannot_be_activated(admin: Client, root: Any) -> None:
    two = [system_prompts.create(root, name=name) for name in "ab"]
    assert "Only one system prompt can be active." in act(admin, "activate", *two)
    assert not SystemPrompt.objects.filter(is_active=True).exists()


# Usage

USAGE = "/admin/waldur_chat/dayofusage/usage/"


@pytest.mark.parametrize("language", ["en", "de", "fr", "et"])
def test_charts_have_numbers_of_svg_in_every_language(admin: Client, user: Any, language: str) -> None:
    DayOfUsage.objects.create(day=timezone.now().date(), user=user, model="m", turns=3, input_tokens=1234)
    text = admin.get(USAGE, headers={"Accept-Language": language}).content.decode()
    numbers = re.findall(
        r' (?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"', text.split("waldur-chat-chart")[1].split("</svg>")[0]
    )
    assert len(numbers) > 100
    assert all(re.fullmatch(r"[0-9.]+%?", number) for number in numbers)


@pytest.fixture
def used(user: Any) -> None:
    """What two users and one that was deleted used of two models."""
    bob = get_user_model().objects.create_user("bob")
    today = timezone.localdate()
    for who, model, days, tokens in [
        (user, "gemma", 0, 1000),
        (user, "gpt", 6, 200),
        (bob, "gemma", 8, 30_000),
        (None, "", 50, 4_000_000),
    ]:
        day = today - timedelta(days=days)
        DayOfUsage.objects.create(day=day, user=who, model=model, turns=1, input_tokens=tokens, output_tokens=tokens)


def total(shown: str) -> list[str]:
    """Turns and tokens of the page."""
    return re.findall(r"<dd>([\d,]+)</dd>", shown)[:2]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("7", ["2", "2,400"]),
        ("30", ["3", "62,400"]),
        ("90", ["4", "8,062,400"]),
        ("365", ["4", "8,062,400"]),
        ("", ["3", "62,400"]),
        ("x", ["3", "62,400"]),
    ],
)
def test_the_time_range_is_chosen(admin: Client, used: None, days: str, expected: list[str]) -> None:
    assert total(page(admin, USAGE, days=days)) == expected


def test_every_day_has_its_bars(admin: Client, used: None) -> None:
    shown = page(admin, USAGE, days="7")
    assert shown.count("<title>") - 1 == 14  # Tokens and turns; and the page's own.
    assert shown.count('<rect class="waldur-chat-series-1"') == 7


def test_users_and_models_lead_to_pages_of_their_own(admin: Client, used: None, user: Any) -> None:
    shown = page(admin, USAGE, days="90")
    assert f'<a href="?days=90&amp;user={user.pk}">alice</a>' in shown
    assert '<a href="?days=90&amp;model=gemma">gemma</a>' in shown
    assert "Deleted users" in shown


def test_a_page_is_of_one_user_or_model(admin: Client, used: None, user: Any) -> None:
    assert total(page(admin, USAGE, user=str(user.pk))) == ["2", "2,400"]
    assert total(page(admin, USAGE, user=str(user.pk), model="gpt")) == ["1", "400"]
    assert "<strong>alice</strong>" in page(admin, USAGE, user=str(user.pk))


def test_a_user_that_cannot_be_is_not_found(admin: Client) -> None:
    assert admin.get(USAGE, {"user": "x"}).status_code == 404


def test_a_user_that_is_not_there_used_nothing(admin: Client, used: None, user: Any) -> None:
    key = user.pk
    user.delete()
    assert "Nothing was used in this time." in page(admin, USAGE, user=str(key))


def test_without_use_it_says_so(admin: Client) -> None:
    assert "Nothing was used in this time." in page(admin, USAGE)


def test_a_content_security_policy_has_nothing_to_forbid(admin: Client, used: None) -> None:
    body = page(admin, USAGE).partition('<div id="content-main"')[2].partition('<div id="footer"')[0]
    assert not re.search(r"style=|<style|<script|\son\w+=", body)


def test_the_list_leads_to_the_page(admin: Client) -> None:
    assert f'href="{USAGE}"' in page(admin, address("dayofusage"))


@pytest.mark.parametrize(("codename", "status"), [("view_dayofusage", 200), ("view_thread", 403)])
def test_who_may_see_the_ledger_sees_the_page(codename: str, status: int) -> None:
    staff = get_user_model().objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename=codename))
    client = Client()
    client.force_login(staff)
    assert client.get(USAGE).status_code == status


def test_the_page_has_a_fixed_number_of_queries(admin: Client, used: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2 + 4):  # The session and its user; then by day, by user and their names, by model.
        page(admin, USAGE)
