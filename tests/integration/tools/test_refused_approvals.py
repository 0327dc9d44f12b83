"""Approvals that may not do anything: the host's rows and its audit stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.authtoken.models import Token

from tests.integration.chatting import settled
from tests.integration.tools.answering import call
from tests.integration.tools.conftest import ALICE, ALICE_BY_TOKEN, BOB, STAFF, Role, traces
from tests.projects.models import Project
from waldur_chat.models import Thread, ToolCall

pytestmark = pytest.mark.slow  # The rules themselves: test_approvals.

RENAME = {"VIEW": "project-detail", "METHOD": "PATCH"}
ALICE_BY_SESSION, BY_BOB, BY_STAFF = (
    Role("alice-session", ALICE, "session"), Role("bob", BOB, "token"), Role("staff", STAFF, "token")
)  # fmt: skip


@pytest.fixture
def waiting(projects: None, model: Any) -> ToolCall:
    """A call of Alice's model, which waits: her first project is to be renamed."""
    model([call(1, "rename", '{"id": 1, "name": "new"}')], ["Renamed."], TOOLS={"rename": RENAME})
    return ask(ALICE_BY_TOKEN)


def ask(role: Role) -> ToolCall:
    """The call that waits after a question of this user."""
    response = role.client().post("/api/chat/stream/", {"input": "Rename it"}, "application/json")
    assert b'"approval":"needed"' in b"".join(response.streaming_content)
    settled()
    return ToolCall.objects.get(user=role.user, status="waiting")


def decide(role: Role, uuid: Any, word: str = "approve", body: Any = None) -> int:
    """The status of the response to this decision."""
    path = f"/api/chat-tool-calls/{getattr(uuid, 'hex', uuid)}/{word}/"
    response = role.client().post(path, body or {}, "application/json")
    if response.streaming:
        b"".join(response.streaming_content)
    settled()
    return int(response.status_code)


def names() -> list[str]:
    return list(Project.objects.order_by("pk").values_list("name", flat=True))


def test_approved_by_its_user_it_is_done(waiting: ToolCall) -> None:
    assert decide(ALICE_BY_TOKEN, waiting.uuid) == 200
    assert names() == ["new", "two", "three", "four", "hidden"]


def test_what_comes_with_the_approval_changes_nothing_of_the_call(waiting: ToolCall) -> None:
    body = {"arguments": {"id": 2, "name": "other"}, "tool": "delete", "user": BOB}
    decide(ALICE_BY_TOKEN, waiting.uuid, body=body)
    assert names() == ["new", "two", "three", "four", "hidden"]


def forged(waiting: ToolCall) -> int:
    return decide(ALICE_BY_TOKEN, uuid4())


def by_its_key(waiting: ToolCall) -> int:
    return decide(ALICE_BY_TOKEN, waiting.pk)


def by_the_id_of_the_model(waiting: ToolCall) -> int:
    return decide(ALICE_BY_TOKEN, waiting.call_id)


def by_somebody_else(waiting: ToolCall) -> int:
    return decide(BY_BOB, waiting.uuid)


def by_staff(waiting: ToolCall) -> int:
    return decide(BY_STAFF, waiting.uuid)


def by_nobody(waiting: ToolCall) -> int:
    return decide(Role("nobody"), waiting.uuid)


def arguments_changed(waiting: ToolCall) -> int:
    ToolCall.objects.update(arguments='{"id":1,"name":"other"}')
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def given_to_somebody_else(waiting: ToolCall) -> int:
    """The row belongs to another user, whose conversation it is not in."""
    ToolCall.objects.update(user=BOB)
    return decide(BY_BOB, waiting.uuid)


def moved_to_another_thread(waiting: ToolCall) -> int:
    """The row belongs to another conversation of the same user."""
    assert waiting.thread
    other = Thread.objects.create(session=waiting.thread.session, name="Other")
    ToolCall.objects.update(thread=other)
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def expired(waiting: ToolCall) -> int:
    ToolCall.objects.update(expires=timezone.now() - timedelta(seconds=1))
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def denied(waiting: ToolCall) -> int:
    assert decide(ALICE_BY_TOKEN, waiting.uuid, "deny") == 200
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def superseded(waiting: ToolCall) -> int:
    assert waiting.thread
    body = {"thread": waiting.thread.uuid.hex, "role": "user", "content": "Hm."}
    assert ALICE_BY_TOKEN.client().post("/api/chat-messages/", body, "application/json").status_code == 201
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def in_a_deleted_thread(waiting: ToolCall) -> int:
    assert waiting.thread
    assert ALICE_BY_TOKEN.client().delete(f"/api/chat-threads/{waiting.thread.uuid.hex}/").status_code == 204
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def inactive(waiting: ToolCall) -> int:
    get_user_model().objects.filter(pk=ALICE).update(is_active=False)
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def revoked(waiting: ToolCall) -> int:
    client = ALICE_BY_TOKEN.client()
    Token.objects.filter(user=ALICE).delete()
    return int(client.post(f"/api/chat-tool-calls/{waiting.uuid.hex}/approve/").status_code)


def forbidden_by_the_view(waiting: ToolCall) -> int:
    """The project was frozen, which the permission of the view looks at."""
    Project.objects.filter(pk=1).update(state="frozen")
    return decide(ALICE_BY_TOKEN, waiting.uuid)


def lost(waiting: ToolCall) -> int:
    """The project belongs to somebody else, whom the filter of the view looks at."""
    Project.objects.filter(pk=1).update(owner=BOB)
    return decide(ALICE_BY_TOKEN, waiting.uuid)


REFUSALS: list[tuple[Callable[[ToolCall], int], int]] = [
    (forged, 404),
    (by_its_key, 404),
    (by_the_id_of_the_model, 404),
    (by_somebody_else, 404),
    (by_staff, 404),
    (by_nobody, 401),
    (given_to_somebody_else, 404),
    (moved_to_another_thread, 409),
    (arguments_changed, 200),  # It goes on, and the model is told that the call was not run.
    (expired, 409),
    (denied, 409),
    (superseded, 409),
    (in_a_deleted_thread, 404),
    (inactive, 401),
    (revoked, 401),
    (forbidden_by_the_view, 200),
    (lost, 200),
]


@pytest.mark.parametrize(("attempt", "status"), REFUSALS, ids=lambda one: getattr(one, "__name__", None))
def test_nothing_happens_in_the_host(waiting: ToolCall, attempt: Callable[[ToolCall], int], status: int) -> None:
    before = names(), traces()["audit"]
    assert attempt(waiting) == status
    assert (names(), traces()["audit"]) == before
    assert not ToolCall.objects.filter(status="done").exists()


def test_a_repeated_approval_does_nothing_more(waiting: ToolCall) -> None:
    decide(ALICE_BY_TOKEN, waiting.uuid)
    Project.objects.filter(pk=1).update(name="one")
    before = names(), traces()["audit"]
    assert [decide(role, waiting.uuid) for role in (ALICE_BY_TOKEN, ALICE_BY_SESSION)] == [409, 409]
    assert (names(), traces()["audit"]) == before


@pytest.mark.parametrize(
    "entry",
    [
        {"VIEW": "project-list", "METHOD": "POST"},  # Its arguments are others.
        {**RENAME, "METHOD": "PUT"},
        {**RENAME, "ROLES": "staff"},
        None,
    ],
    ids=["other-view", "other-method", "other-roles", "gone"],
)
def test_a_tool_that_has_changed_does_not_run(waiting: ToolCall, settings: Any, entry: Any) -> None:
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "TOOLS": {"rename": entry} if entry else {}}
    before = names(), traces()["audit"]
    assert decide(ALICE_BY_TOKEN, waiting.uuid) == 200
    assert (names(), traces()["audit"]) == before
    waiting.refresh_from_db()
    assert waiting.status == "failed"


def test_a_user_who_is_no_longer_staff_has_no_tool_of_staff(projects: None, model: Any) -> None:
    tools = {"rename": {**RENAME, "ROLES": "staff"}}
    model([call(1, "rename", '{"id": 1, "name": "new"}')], ["Renamed."], TOOLS=tools)
    waiting = ask(BY_STAFF)
    get_user_model().objects.filter(pk=STAFF).update(is_staff=False)
    before = names(), traces()["audit"]
    assert decide(BY_STAFF, waiting.uuid) == 200
    assert (names(), traces()["audit"]) == before


def test_nobody_decides_as_somebody_else(waiting: ToolCall, settings: Any) -> None:
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "REQUEST_IMPERSONATOR": f"{__name__}.staff"}
    before = names(), traces()["audit"]
    assert [decide(ALICE_BY_TOKEN, waiting.uuid, word) for word in ("approve", "deny")] == [403, 403]
    assert (names(), traces()["audit"]) == before


def staff(request: Any) -> Any:
    """Who impersonates everybody."""
    return get_user_model().objects.get(pk=STAFF)
