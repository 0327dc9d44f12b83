"""Staff who read as somebody else leave audit entries, as those do who read as themselves."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from rest_framework.authentication import TokenAuthentication

from tests.integration.chatting import settled
from tests.integration.conftest import Caller
from tests.integration.customized import answering, subclassed, urls
from tests.integration.stored import thread_of
from waldur_chat.models import Reading, Thread, Turn
from waldur_chat.store.conversations import audit


class Impersonating(TokenAuthentication):
    """As Waldur's: the user is the impersonated one, and knows who impersonates them."""

    def authenticate(self, request: Any) -> Any:
        user, token = super().authenticate(request)
        user.impersonator = get_user_model().objects.get(username="root")
        return user, token


def by_header(request: Any) -> Any:
    """Another host's way to know it."""
    return get_user_model().objects.filter(username=request.headers.get("X-Real-User", "")).first()


@pytest.fixture
def root(user: Any) -> Any:
    """Who impersonates."""
    return get_user_model().objects.create_superuser("root")


def read_everything(call: Caller, user: Any, settings: Any, **own: Any) -> None:
    """Read a conversation in every way that there is."""
    answering(settings, "Hello", STORAGE=True, **own)
    turn = call.stream({"input": "Hi"}).headers["X-Chat-Turn"]
    settled()
    (thread,) = call.get("/api/chat-threads/").json
    message = call.get(f"/api/chat-messages/?thread={thread['uuid']}").json[0]["uuid"]
    for where in (
        f"chat-threads/{thread['uuid']}/",
        f"chat-messages/{message}/",
        f"chat-messages/{message}/history/",
        "chat-sessions/current/export/",
        f"chat/turns/{turn}/events/",
    ):
        assert call.get(f"/api/{where}").status == 200


def entries(act: str = "read") -> list[tuple[str, str]]:
    """Who read whose conversation, or asked in it."""
    return [(entry.reader.username, entry.owner.username) for entry in Reading.objects.filter(act=act)]


def test_who_impersonates_is_recorded(call: Caller, user: Any, root: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[Impersonating]))
    read_everything(call, user, settings)
    assert entries() == [("root", "alice")] * 6
    assert entries("asked") == [("root", "alice")]


@pytest.mark.parametrize("path", ["chat/invoke/", "chat/stream/"])
def test_who_asks_as_somebody_else_is_in_the_audit_and_in_the_log(
    call: Caller, user: Any, root: Any, settings: Any, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answering(settings, "Hello", STORAGE=True)
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[Impersonating]))
    caplog.set_level("INFO", "waldur_chat.turns")
    assert call.post(f"/api/{path}", {"input": "Hi"}).status == 200
    settled()
    (thread,) = Thread.objects.all()
    entry = Reading.objects.get()
    assert (entry.act, entry.reader, entry.owner, entry.thread) == ("asked", root, user, thread.uuid)
    assert thread.session.user == user
    (line,) = [record for record in caplog.records if record.name == "waldur_chat.turns"]
    assert (line.user_id, line.impersonator_id) == (str(user.pk), str(root.pk))  # type: ignore[attr-defined]
    assert f"user_id={user.pk} impersonator_id={root.pk}" in line.getMessage()


def test_of_a_question_that_is_not_stored_the_log_knows_alone(
    call: Caller, user: Any, root: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answering(settings, "Hello", STORAGE=False)
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[Impersonating]))
    caplog.set_level("INFO", "waldur_chat.turns")
    call.invoke({"input": "Hi"})
    assert f"impersonator_id={root.pk}" in caplog.text
    assert not Reading.objects.exists()


def test_who_reads_and_asks_as_themselves_is_not(
    call: Caller, user: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "waldur_chat.turns")
    read_everything(call, user, settings)
    assert not Reading.objects.exists()
    assert "impersonator_id" not in caplog.text


def test_a_host_may_know_it_in_a_way_of_its_own(call: Caller, user: Any, root: Any, settings: Any) -> None:
    thread = thread_of(user, "Hello")
    settings.WALDUR_CHAT = {"REQUEST_IMPERSONATOR": f"{__name__}.by_header"}
    call.get(f"/api/chat-threads/{thread.uuid}/")
    call.get(f"/api/chat-threads/{thread.uuid}/", X_Real_User="root")
    assert entries() == [("root", "alice")]


def test_it_can_be_switched_off(call: Caller, user: Any, root: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[Impersonating]))
    read_everything(call, user, settings, REQUEST_IMPERSONATOR="")
    assert not Reading.objects.exists()


def test_an_answer_whose_audit_fails_is_not_kept_open(
    call: Caller, user: Any, root: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(settings, "Hello", STORAGE=True, REQUEST_IMPERSONATOR=f"{__name__}.by_header")
    monkeypatch.setattr(audit, "record_question", mock.Mock(side_effect=OperationalError("The disk is full.")))
    assert call.invoke({"input": "Hi"}, X_Real_User="root").status == 503
    settled()
    assert Turn.objects.get().status == Turn.Status.FINISHED
