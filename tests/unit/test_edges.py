"""Where a request begins and ends, Django's own work waits for nothing, unless somebody else has joined in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.unit.handled import ask
from waldur_chat.api import edges
from waldur_chat.api.kept_threads import KeptThread

pytestmark = pytest.mark.usefixtures("resting")

BEGINNING = {reset_queries, close_old_connections}
"""What Django does first; in which order depends on who asked for it before."""


class Careful(HttpResponse):
    """One that closes something of its own, which may wait."""

    def close(self) -> None:
        super().close()


class Remote(LocMemCache):
    """A cache that has a connection to close."""

    def close(self, **_: object) -> None: ...


async def plain(request: HttpRequest) -> HttpResponse:
    """A view that needs no thread."""
    return HttpResponse("seen")


async def careful(request: HttpRequest) -> HttpResponse:
    """One whose response has a way of its own to close."""
    return Careful("seen")


async def holding(request: HttpRequest) -> HttpResponse:
    """One whose response closes what nobody knows."""
    response = HttpResponse("seen")
    response._resource_closers.append([].clear)  # type: ignore[attr-defined]
    return response


def threaded(request: HttpRequest) -> HttpResponse:
    """One that needs its thread."""
    return HttpResponse("seen")


urlpatterns = [path(f"{view.__name__}/", view) for view in (plain, careful, holding, threaded)]


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What threads were asked for, while a test runs: what was due, and True for each call."""
    found: list[Any] = []
    prepare, submit = KeptThread.prepare, KeptThread.submit

    def noted_due(self: KeptThread, calls: Any) -> None:
        found.append(set(calls))
        prepare(self, calls)

    def noted(self: KeptThread, call: Callable[[], Any]) -> Any:
        found.append(True)
        return submit(self, call)

    monkeypatch.setattr(KeptThread, "prepare", noted_due)
    monkeypatch.setattr(KeptThread, "submit", noted)
    return found


@contextmanager
def hearing(signal: Signal) -> Iterator[list[object]]:
    """Somebody of the site's who is told."""
    told: list[object] = []

    def hear(sender: object, **_: object) -> None:
        told.append(sender)

    signal.connect(hear)
    yield told
    signal.disconnect(hear)


def test_beginning_and_end_need_no_thread(asked: list[Any]) -> None:
    assert ask("/plain/")[0] == 200
    assert asked == []


def test_a_thread_that_is_needed_does_first_what_is_due(asked: list[Any]) -> None:
    assert ask("/threaded/")[0] == 200
    assert asked == [BEGINNING, True]


def test_who_else_is_told_of_the_beginning_is_told_in_the_thread(asked: list[Any]) -> None:
    with hearing(request_started) as told:
        assert ask("/plain/")[0] == 200
    assert told == [ASGIHandler]
    assert asked == [set(), True]


def test_who_else_is_told_of_the_end_is_told_in_the_thread(asked: list[Any]) -> None:
    with hearing(request_finished) as told:
        assert ask("/plain/")[0] == 200
    assert told == [ASGIHandler]
    assert asked == [BEGINNING, True]


@pytest.mark.parametrize("view", ["careful", "holding"])
def test_a_response_that_closes_something_is_closed_in_the_thread(asked: list[Any], view: str) -> None:
    assert ask(f"/{view}/")[0] == 200
    assert len(asked) == 2


@pytest.mark.parametrize(("backend", "takes_thread"), [(LocMemCache, False), (Remote, True)])
def test_a_cache_with_a_connection_is_closed_in_the_thread(
    asked: list[Any], settings: Any, backend: type, takes_thread: bool
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{backend.__module__}.{backend.__qualname__}"}}
    caches["default"].get("anything")
    assert ask("/plain/")[0] == 200
    assert bool(asked) is takes_thread


def test_a_response_that_is_closed_at_once_is_closed() -> None:
    closed: list[int] = []

    def fail() -> None:
        closed.append(1)
        raise ValueError

    response = HttpResponse("seen")
    response._resource_closers += [fail, lambda: closed.append(2)]  # type: ignore[attr-defined]
    edges.close(response)
    assert response.closed
    assert closed == [1, 2]
