"""Clients that leave before the answer: seen in one process; the acceptance tests see it on real servers."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory

from tests.integration.chatting import settled, waiting
from tests.integration.conftest import JSON, Caller
from tests.integration.turning import begin
from waldur_chat import chat
from waldur_chat.api.request.parsers import BodyTooLarge, BoundedJSONParser
from waldur_chat.api.responses import deferred
from waldur_chat.api.responses.disconnect import has_hung_up
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.models import Turn
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import replays
from waldur_chat.testing import Script, scripted
from waldur_chat.turns.resume import TurnSubscription

pytestmark = pytest.mark.core

BODY = {"path": "/api/chat/stream/", "data": {"input": "Hi"}, "content_type": JSON}


def closes(provider: Script) -> bool:
    """Whether the provider's only stream is closed soon."""
    deadline = time.monotonic() + 5
    while provider.closed < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return provider.opened == provider.closed == 1


@pytest.fixture
def authorization(call: Caller) -> dict[str, str]:
    """The user's header."""
    return {"Authorization": f"Token {call.token}"}


def test_a_socket_that_the_other_side_closed_has_hung_up(with_shortcuts: None) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        assert not has_hung_up({"gunicorn.socket": ours})
        theirs.close()
        assert has_hung_up({"gunicorn.socket": ours})


def test_a_client_of_uwsgi_has_hung_up_when_its_descriptor_says_so(
    monkeypatch: pytest.MonkeyPatch, with_shortcuts: None
) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=ours.fileno))
    with ours:
        assert not has_hung_up({"uwsgi.version": b"2.0.30"})
        theirs.close()
        assert has_hung_up({"uwsgi.version": b"2.0.30"})
    assert not has_hung_up({"uwsgi.version": b"2.0.30"})


def test_where_there_is_no_socket_nobody_is_known_to_have_gone() -> None:
    closed = socket.socket()
    closed.close()
    assert not has_hung_up({})
    assert not has_hung_up({"gunicorn.socket": closed})


@pytest.mark.parametrize("steps", [(60,), ("Hello", 60)])
def test_a_wsgi_client_that_has_gone_ends_the_turn(
    authorization: dict[str, str], steps: tuple[Any, ...], with_shortcuts: None
) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, scripted(*steps) as provider:
        response = Client().post(**BODY, headers=authorization, **{"gunicorn.socket": ours})
        list(response)
        response.close()
        assert closes(provider)


def test_a_wsgi_client_that_stays_gets_his_answer(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "POLL_SECONDS", 0.05)
    with scripted(0.2, "Hello"):
        assert call.invoke().json == "Hello"


def test_a_wsgi_client_that_reads_no_further_ends_the_turn(authorization: dict[str, str]) -> None:
    with scripted("Hello", 60) as provider:
        response = Client().post(**BODY, headers=authorization)
        next(iter(response))
        response.close()
        assert closes(provider)


def test_an_asgi_client_that_leaves_before_the_first_event_ends_the_turn(authorization: dict[str, str]) -> None:
    async def leave(provider: Script) -> bool:
        asking = asyncio.ensure_future(AsyncClient().post(**BODY, headers=authorization))
        while not provider.opened:  # noqa: ASYNC110  # The provider only counts.
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        return asking.cancelled()

    with scripted(60) as provider:
        assert async_to_sync(leave)(provider)
        assert closes(provider)


def test_an_asgi_client_that_reads_no_further_ends_the_turn(authorization: dict[str, str]) -> None:
    async def leave() -> None:
        response = await AsyncClient().post(**BODY, headers=authorization)
        pieces = aiter(response)
        await anext(pieces)
        await pieces.aclose()
        await asyncio.sleep(0.05)

    with scripted("Hello", 60) as provider:
        async_to_sync(leave)()
        assert closes(provider)


def test_a_response_that_nobody_reads_ends_the_turn(authorization: dict[str, str]) -> None:
    with scripted("Hello", 60) as provider:
        response = Client().post(**BODY, headers=authorization)
        response.streaming_content = []
        del response._body
        response._resource_closers.clear()
        assert closes(provider)


class TestStored:
    """The answer is stored: it is written to its end, or for as long as the settings have it."""

    @staticmethod
    def leave(settings: Any, authorization: dict[str, str], finish_seconds: float | None, *steps: Any) -> Turn:
        """Read the beginning of an answer, and leave; gives the turn when it has ended."""
        settings.WALDUR_CHAT = {"STORAGE": True, "FINISH_SECONDS": finish_seconds}
        with scripted(*steps) as provider:
            response = Client().post(**BODY, headers=authorization)
            next(iter(response))
            response.close()
            assert closes(provider)
        settled()
        return Turn.objects.get()

    def test_it_goes_on_without_its_reader(self, settings: Any, authorization: dict[str, str]) -> None:
        turn = self.leave(settings, authorization, None, "Hel", 0.3, "lo")
        assert (turn.status, turn.answer and turn.answer.text) == ("finished", "Hello")

    @pytest.mark.parametrize("factory", [RequestFactory, AsyncRequestFactory])
    @pytest.mark.parametrize(("finish_seconds", "status"), [(None, "finished"), (0, "cancelled")])
    def test_a_question_of_somebody_who_has_left_already_ends_too(
        self, settings: Any, authorization: Any, factory: Any, finish_seconds: float | None, status: str
    ) -> None:
        settings.WALDUR_CHAT = {"STORAGE": True, "FINISH_SECONDS": finish_seconds}
        with scripted("Hello", 0.2 if status == "finished" else 60):
            request = factory().post(**BODY, headers=authorization)
            ChatViewSet.as_view({"post": "stream"})(request)  # The response is dropped.
            settled()
        assert Turn.objects.get().status == status

    def test_who_comes_back_and_has_left_already_changes_nothing(self, settings: Any, user: Any) -> None:
        settings.WALDUR_CHAT = {"STORAGE": True}
        with scripted("Hello"):
            chat.invoke("Hi", user=user)
        TurnSubscription(replays.find_for_user(user, Turn.objects.get().uuid)).discard()
        assert Turn.objects.get().status == "finished"

    def test_it_is_stopped_at_once_where_the_site_wants_that(self, settings: Any, authorization: Any) -> None:
        turn = self.leave(settings, authorization, 0, "Hel", 60)
        assert (turn.status, turn.answer and turn.answer.text) == ("cancelled", "Hel")

    def test_it_may_have_some_time_to_end(self, settings: Any, authorization: dict[str, str]) -> None:
        assert self.leave(settings, authorization, 30, "Hel", 0.3, "lo").status == "finished"

    def test_it_is_stopped_when_that_is_over(self, settings: Any, authorization: dict[str, str]) -> None:
        assert self.leave(settings, authorization, 0.2, "Hel", 60).status == "cancelled"

    def test_who_comes_back_in_time_reads_it_to_the_end(self, settings: Any, user: Any) -> None:
        settings.WALDUR_CHAT = {"STORAGE": True, "FINISH_SECONDS": 1.0}
        with scripted("Hel", 2.5, "lo"):
            turn = begin(user, "Hi")
            turn.close()
            view = TurnSubscription(replays.find_for_user(user, Turn.objects.get().uuid))
            view.start(background_loop())
            assert view.take_blocking(10)
            time.sleep(1.2)
            view.close()
            other = TurnSubscription(replays.find_for_user(user, Turn.objects.get().uuid))
            other.start(background_loop())
            while not (events := other.take_blocking(10)) or not chat.ended(events):
                pass
            other.close()
        assert Turn.objects.get().status == "finished"

    def test_a_wsgi_client_that_has_gone_is_not_read_to(
        self, settings: Any, authorization: dict[str, str], with_shortcuts: None
    ) -> None:
        settings.WALDUR_CHAT = {"STORAGE": True}
        ours, theirs = socket.socketpair()
        gone = threading.Event()
        with ours, waiting("Hel", gone, "lo"):
            response = Client().post(**BODY, headers=authorization, **{"gunicorn.socket": ours})
            pieces = iter(response)
            assert b"Hel" in b"".join(next(pieces) for _ in range(1))
            theirs.close()
            assert list(pieces) == []
            gone.set()
            settled()
        assert Turn.objects.get().status == "finished"


@pytest.mark.django_db(transaction=True)
def test_a_request_without_a_transaction_holds_no_connection_to_give_back(call: Caller) -> None:
    with scripted("Hello"):
        assert call.stream().status == 200


def test_a_body_without_a_length_is_measured_as_it_is_read(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    with pytest.raises(BodyTooLarge):
        BoundedJSONParser().parse(BytesIO(b"x" * 11))
