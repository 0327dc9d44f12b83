"""The thread of an ASGI request is given back while a model is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async

from waldur_chat.asgi import executor
from waldur_chat.asgi.executor import RequestExecutor
from waldur_chat.asgi.release_thread import release_request_thread

seen_thread = sync_to_async(threading.get_ident)


def has_thread() -> bool:
    """Whether the request has a thread of its own now."""
    return SyncToAsync.thread_sensitive_context.get() in SyncToAsync.context_to_thread_executor


async def wait_for_a_model() -> tuple[bool, bool, bool]:
    """Whether a request has a thread before it waits, while it does and afterwards."""
    async with ThreadSensitiveContext():
        await seen_thread()
        before = has_thread()
        await release_request_thread()
        meanwhile = has_thread()
        await seen_thread()
        return before, meanwhile, has_thread()


def test_a_thread_of_the_requests_own_is_given_back(with_shortcuts: None) -> None:
    assert asyncio.run(wait_for_a_model()) == (True, False, True)


def test_without_shortcuts_it_is_kept(no_shortcuts: None) -> None:
    assert asyncio.run(wait_for_a_model()) == (True, True, True)


def within(own: RequestExecutor, act: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something within a request that has this executor."""

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(own, threading.get_ident)
        await act()

    monkeypatch.setattr(executor, "current", lambda: own)
    asyncio.run(main())


def test_a_thread_that_is_kept_for_other_requests_is_given_back_to_them(
    resting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    within(RequestExecutor(), release_request_thread, monkeypatch)
    assert len(resting) == 1


def test_one_in_which_middleware_waits_stays(resting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own, go_on = RequestExecutor(), threading.Event()

    async def wait() -> None:
        waiting = asyncio.wrap_future(own.submit(go_on.wait, 5))
        await release_request_thread()
        assert not resting
        go_on.set()
        await waiting

    within(own, wait, monkeypatch)
    own.end()
    assert len(resting) == 1


def test_a_request_without_a_thread_has_none_to_give_back() -> None:
    async def request() -> bool:
        async with ThreadSensitiveContext():
            await release_request_thread(holds_connections=False)
            return has_thread()

    assert not asyncio.run(request())


def test_outside_of_a_request_nothing_is_given_back() -> None:
    asyncio.run(release_request_thread(holds_connections=False))


def test_a_thread_in_which_middleware_waits_is_kept() -> None:
    async def request() -> bool:
        async with ThreadSensitiveContext():
            return await sync_to_async(middleware)()

    def middleware() -> bool:
        async_to_sync(view)()
        return has_thread()

    async def view() -> None:
        await release_request_thread()

    assert asyncio.run(request())


def test_a_thread_of_somebody_else_is_kept() -> None:
    with ThreadPoolExecutor(max_workers=1) as executor:
        context = ThreadSensitiveContext()
        context._executor = executor
        SyncToAsync.context_to_thread_executor[context] = executor
        token = SyncToAsync.thread_sensitive_context.set(context)
        try:
            asyncio.run(release_request_thread(holds_connections=False))
            assert SyncToAsync.context_to_thread_executor[context] is executor
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            del SyncToAsync.context_to_thread_executor[context]
