"""The synchronous parts of a request run in a thread that is kept, and what only looks at it on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory

from tests.acceptance.streams import eventually
from tests.unit.aio import run
from waldur_chat.api import executor
from waldur_chat.api.executor import request_executor

pytestmark = pytest.mark.usefixtures("resting")

seen_thread = sync_to_async(threading.get_ident)


class Connection:
    """What there is of a database connection in a thread."""

    connection: object = None
    in_atomic_block = False

    def __init__(self, closed: list[int]) -> None:
        self.closed = closed

    def close(self) -> None:
        self.connection = None
        self.closed.append(threading.get_ident())


class Connections:
    """Those of each thread. `closed` has the thread in which one was closed."""

    def __init__(self) -> None:
        self._local = threading.local()
        self.closed: list[int] = []

    @property
    def own(self) -> Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = Connection(self.closed)
        found: Connection = self._local.connection
        return found

    def all(self, initialized_only: bool = False) -> list[Connection]:
        return [self.own]


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    made = Connections()
    monkeypatch.setattr(executor, "connections", made)
    return made


def rest() -> None:
    """Let the request that runs now give its thread back."""
    context = SyncToAsync.thread_sensitive_context.get()
    SyncToAsync.context_to_thread_executor[context].rest()  # type: ignore[attr-defined]


async def settle() -> None:
    """Until the threads have done what they were given."""
    for thread in list(executor._resting):
        await asyncio.wrap_future(thread.submit(lambda: None))


def test_a_thread_is_kept_for_the_next_request(resting: list[Any]) -> None:
    async def request() -> tuple[int, int]:
        async with request_executor():
            return await seen_thread(), await seen_thread()

    async def main() -> set[int]:
        return {thread for _ in range(3) for thread in await request()}

    seen = run(main())
    assert len(seen) == len(resting) == 1
    assert threading.get_ident() not in seen


def test_requests_at_once_have_threads_of_their_own(resting: list[Any]) -> None:
    async def request(barrier: threading.Barrier) -> int:
        async with request_executor():
            await sync_to_async(barrier.wait)(5)
            return await seen_thread()

    async def main() -> list[int]:
        barrier = threading.Barrier(3)
        return await asyncio.gather(*(request(barrier) for _ in range(3)))

    assert len(set(run(main()))) == len(resting) == 3


def test_while_a_request_waits_another_uses_its_thread(resting: list[Any]) -> None:
    async def request() -> int:
        async with request_executor():
            return await seen_thread()

    async def main() -> None:
        async with request_executor():
            first = await seen_thread()
            rest()
            other = contextvars.Context().run(asyncio.create_task, request())  # Not one within this request.
            assert await other == first
            await seen_thread()
            assert not resting
        assert len(resting) == 1

    run(main())


def test_no_more_threads_are_kept_than_said(resting: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def request(barrier: threading.Barrier) -> None:
        async with request_executor():
            await sync_to_async(barrier.wait)(5)

    async def main() -> None:
        barrier = threading.Barrier(3)
        await asyncio.gather(*(request(barrier) for _ in range(3)))

    monkeypatch.setattr(executor, "MOST_KEPT", 2)
    run(main())
    assert len(resting) == 2  # And the third has ended: see no_thread_is_left().


def test_a_thread_rests_without_connections(connections: Connections) -> None:
    async def main() -> None:
        async with request_executor():
            await sync_to_async(connect)()
            thread = await seen_thread()
        await settle()
        assert connections.closed == [thread]

    def connect() -> None:
        connections.own.connection = object()

    run(main())


def test_a_thread_with_a_transaction_stays_with_its_request_and_ends_with_it(
    connections: Connections, resting: list[Any]
) -> None:
    async def main() -> None:
        async with request_executor():
            await sync_to_async(begin)()
            first = await seen_thread()
            rest()
            assert await seen_thread() == first
        assert not resting

    def begin() -> None:
        connections.own.in_atomic_block = True

    run(main())


async def rest_while_at_work(end: Callable[[], object]) -> threading.Thread:
    """A request rests while its thread is at work, which `end` is the last of; gives the thread."""
    begun, go_on = threading.Event(), threading.Event()

    def work() -> threading.Thread:
        begun.set()
        go_on.wait(5)
        end()
        return threading.current_thread()

    async with request_executor():
        task = asyncio.create_task(sync_to_async(work)())
        await asyncio.to_thread(begun.wait, 5)
        rest()
        assert not executor._resting
        go_on.set()
        return await task


def test_a_thread_that_a_request_has_left_at_work_rests_when_it_is_done(resting: list[Any]) -> None:
    run(rest_while_at_work(lambda: None))
    assert eventually(lambda: len(resting) == 1)  # The event loop is told of the end before.


def test_what_a_thread_began_meanwhile_keeps_it_from_the_next_request(
    connections: Connections, resting: list[Any]
) -> None:
    def begin() -> None:
        connections.own.in_atomic_block = True

    thread = run(rest_while_at_work(begin))
    thread.join(5)
    assert (thread.is_alive(), resting) == (False, [])


def test_within_another_context_nothing_is_changed(resting: list[Any]) -> None:
    async def main() -> None:
        async with ThreadSensitiveContext() as context, request_executor():
            await seen_thread()
            given = SyncToAsync.context_to_thread_executor[context]
            assert not isinstance(given, executor.RequestExecutor)
        assert not resting

    run(main())


def test_event_loops_share_the_threads() -> None:
    async def request() -> int:
        async with request_executor():
            return await seen_thread()

    assert asyncio.run(request()) == asyncio.run(request())


def respond(request: Any) -> HttpResponse:
    return HttpResponse()


class Seen(SecurityMiddleware):
    """One of the site's own, which may do anything."""

    def process_request(self, request: HttpRequest) -> Any:
        return threading.get_ident()


@asynccontextmanager
async def counted() -> AsyncIterator[Callable[[], bool]]:
    """Within a request; tells whether it has used a thread."""
    async with request_executor():
        context = SyncToAsync.thread_sensitive_context.get()
        given: Any = SyncToAsync.context_to_thread_executor[context]
        yield lambda: given._thread is not None


def uses_thread(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether it changes threads."""

    async def main() -> bool:
        async with counted() as has_used:
            await call()
            return has_used()

    return run(main())


def test_what_only_looks_runs_on_the_event_loop() -> None:
    request = RequestFactory().get("/")
    middleware = SecurityMiddleware(respond)
    assert not uses_thread(lambda: sync_to_async(middleware.process_request, thread_sensitive=True)(request))


def test_middleware_of_the_site_runs_in_a_thread() -> None:
    request = RequestFactory().get("/")
    assert uses_thread(lambda: sync_to_async(Seen(respond).process_request, thread_sensitive=True)(request))


def test_what_may_wait_this_time_runs_in_a_thread(settings: Any) -> None:
    request = RequestFactory().get("/")
    look = sync_to_async(CsrfViewMiddleware(respond).process_request, thread_sensitive=True)
    assert not uses_thread(lambda: look(request))
    settings.CSRF_USE_SESSIONS = True
    request.session = {}  # type: ignore[assignment]
    assert uses_thread(lambda: look(request))


def test_what_raises_on_the_event_loop_raises_where_it_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, request: object) -> None:
        raise ValueError("no")

    fail.__name__ = "process_request"
    monkeypatch.setattr(SecurityMiddleware, "process_request", fail)
    look = sync_to_async(SecurityMiddleware(respond).process_request, thread_sensitive=True)
    with pytest.raises(ValueError, match="no"):
        uses_thread(lambda: look(RequestFactory().get("/")))
