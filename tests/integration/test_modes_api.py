"""Where in a conversation a request asks: threads, modes, and what is wrong with them, as clients see it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.asked import standing
from tests.integration.conftest import Caller
from tests.integration.rest import Person, message_of, running_in
from tests.integration.stored import thread_of
from waldur_chat.api.serializers.chat import ChatRequestSerializer
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.testing import scripted
from waldur_chat.turns.reaper import LeaseObserver


@pytest.fixture(autouse=True)
def stores(settings: Any) -> None:
    """Conversations are stored."""
    settings.WALDUR_CHAT = {"STORAGE": True}


@pytest.fixture
def thread(user: Any) -> Thread:
    """A question and its answer."""
    return thread_of(user, "a", "b")


@pytest.fixture(params=["invoke", "stream"])
def operation(request: pytest.FixtureRequest) -> str:
    """Both operations."""
    return str(request.param)


def ask(call: Caller, operation: str = "stream", *steps: str, **fields: Any) -> Any:
    with scripted(*(steps or ("Hello",))):
        return call.post(f"/api/chat/{operation}/", {"input": "New", **fields})


def test_an_answer_tells_its_turn_and_its_conversation(call: Caller, operation: str) -> None:
    reply = ask(call, operation)
    assert reply.headers["X-Chat-Turn"] == Turn.objects.get().uuid.hex
    assert reply.headers["X-Chat-Thread"] == Thread.objects.get().uuid.hex


def test_what_fails_tells_its_turn_too(call: Caller, operation: str) -> None:
    with scripted(KeyError()):
        reply = call.post(f"/api/chat/{operation}/", {"input": "New"})
    assert (reply.status, reply.headers["X-Chat-Turn"]) == (502, Turn.objects.get().uuid.hex)


@pytest.mark.parametrize("dashes", [True, False])
def test_a_conversation_goes_on_by_its_uuid(call: Caller, thread: Thread, operation: str, dashes: bool) -> None:
    uuid = str(thread.uuid) if dashes else thread.uuid.hex
    assert ask(call, operation, thread_uuid=uuid).headers["X-Chat-Thread"] == thread.uuid.hex
    assert standing(thread) == ["a", "b", "New", "Hello"]


def test_a_reload_replaces_the_answer(call: Caller, thread: Thread) -> None:
    assert ask(call, "stream", "B", thread_uuid=thread.uuid.hex, mode="reload").status == 200
    assert standing(thread) == ["a", "B"]


@pytest.mark.parametrize("dashes", [True, False])
def test_an_edit_replaces_question_and_answer(call: Caller, thread: Thread, dashes: bool) -> None:
    edited = message_of(thread, 0).uuid
    uuid = str(edited) if dashes else edited.hex
    assert ask(call, thread_uuid=thread.uuid.hex, mode="edit", edit_message_uuid=uuid).status == 200
    assert standing(thread) == ["New", "Hello"]


def test_null_means_absent(call: Caller, operation: str) -> None:
    nothing = {"thread_uuid": None, "mode": None, "edit_message_uuid": None, "update_thread_name": None}
    assert ask(call, operation, **nothing).status == 200
    assert Message.objects.count() == 2


def test_the_assistant_opens_a_conversation_that_is_stored(call: Caller) -> None:
    with scripted("Welcome") as provider:
        assert call.invoke().json == "Welcome"
    assert (provider.prompts[0].opens, standing(Thread.objects.get())) == (True, ["Welcome"])


@pytest.mark.parametrize("mode", ["reload", "edit"])
def test_a_mode_without_a_conversation_is_a_400(call: Caller, mode: str) -> None:
    reply = ask(call, mode=mode)
    assert (reply.status, set(reply.json)) == (400, {"mode", "code"})


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"mode": "edit"}, "edit_message_uuid"),
        ({"mode": "edit", "edit_message_uuid": None}, "edit_message_uuid"),
        ({"mode": "reload", "edit_message_uuid": uuid4().hex}, "edit_message_uuid"),
        ({"edit_message_uuid": uuid4().hex}, "edit_message_uuid"),
        ({"mode": "edit", "edit_message_uuid": uuid4().hex}, "edit_message_uuid"),
        ({"mode": "append"}, "mode"),
        ({"mode": "edit", "edit_message_uuid": "nonsense"}, "edit_message_uuid"),
    ],
)
def test_what_does_not_fit_together_is_a_400(call: Caller, thread: Thread, fields: dict[str, Any], wrong: str) -> None:
    reply = ask(call, thread_uuid=thread.uuid.hex, **fields)
    assert (reply.status, set(reply.json), reply.json["code"]) == (400, {wrong, "code"}, "invalid")
    assert Turn.objects.count() == 0


def test_a_uuid_that_is_none_is_a_400(call: Caller) -> None:
    reply = ask(call, thread_uuid="nonsense")
    assert (reply.status, set(reply.json)) == (400, {"thread_uuid", "code"})


def test_an_edit_without_a_text_is_a_400(call: Caller, thread: Thread) -> None:
    edited = {"thread_uuid": thread.uuid.hex, "mode": "edit", "edit_message_uuid": message_of(thread, 0).uuid.hex}
    reply = call.invoke(edited)
    assert (reply.status, set(reply.json)) == (400, {"input", "code"})


def test_a_reload_of_an_empty_conversation_is_a_400(call: Caller, user: Any) -> None:
    reply = ask(call, thread_uuid=thread_of(user).uuid.hex, mode="reload")
    assert (reply.status, reply.json) == (400, {"mode": ["There is no answer to replace."], "code": "invalid"})


def test_an_unknown_conversation_is_a_404(call: Caller, operation: str) -> None:
    reply = ask(call, operation, thread_uuid=uuid4().hex)
    assert (reply.status, reply.json["code"]) == (404, "thread_not_found")


def test_a_conversation_of_somebody_else_is_a_404(call: Caller, user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_staff=True)
    thread = thread_of(Person("bob").user, "a", "b")
    reply = ask(call, thread_uuid=thread.uuid.hex)
    assert (reply.status, reply.json["code"], standing(thread)) == (404, "thread_not_found", ["a", "b"])


def test_a_second_question_in_a_running_conversation_is_a_409(
    call: Caller, thread: Thread, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeaseObserver, "note", lambda *_: None)  # A thread of an earlier test may look, too.
    turn = running_in(thread)
    reply = ask(call, operation, thread_uuid=thread.uuid.hex)
    assert (reply.status, reply.json["code"], reply.json["turn_uuid"]) == (409, "thread_busy", turn.uuid.hex)
    assert int(reply.headers["Retry-After"]) == reply.json["retry_after"] > 0  # This process has not looked yet.
    assert "X-Chat-Turn" not in reply.headers


@pytest.mark.parametrize("fields", [{"thread_uuid": uuid4().hex}, {"mode": "reload"}])
def test_a_site_that_stores_nothing_has_no_conversations(call: Caller, settings: Any, fields: dict[str, str]) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    reply = ask(call, **fields)
    assert (reply.status, set(reply.json)) == (400, {*fields, "code"})


def test_a_site_that_stores_nothing_takes_null(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    reply = ask(call, thread_uuid=None, mode=None, update_thread_name=uuid4().hex)
    assert (reply.status, Turn.objects.count(), "X-Chat-Thread" in reply.headers) == (200, 0, False)


def test_an_answer_may_be_the_name_of_a_conversation(call: Caller, thread: Thread) -> None:
    reply = ask(call, "stream", "Cats", update_thread_name=thread.uuid.hex)
    thread.refresh_from_db()
    assert (reply.status, thread.name, standing(thread)) == (200, "Cats", ["a", "b"])


def test_a_request_on_an_error_page_shows_no_words() -> None:
    assert repr(ChatRequestSerializer(data={"input": "secret"})) == "<ChatRequestSerializer>"
