"""The thread of an ASGI request is given back while a model is asked."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async

from waldur_chat.api.executor import RequestExecutor
from waldur_chat.api.idle import give_back_thread

seen_thread = sync_to_async(threading.get_ident)


def has_thread() -> bool:
    """Whether the request has a thread of its own now."""
    return SyncToAsync.thread_sensitive_context.get() in SyncToAsync.context_to_thread_executor


def test_a_thread_of_the_requests_own_is_given_back() -> None:
    async def request() -> tuple[bool, bool, bool]:
        async with ThreadSensitiveContext():
            await seen_thread()
            before = has_thread()
            await give_back_thread()
            after = has_thread()
            await seen_thread()
            return before, after, has_thread()

    assert asyncio.run(request()) == (True, False, True)


def test_a_thread_that_is_kept_for_other_requests_is_given_back_to_them() -> None:
    async def request() -> tuple[int, int]:
        async with RequestExecutor():
            first = await seen_thread()
            await give_back_thread()
            other = contextvars.Context().run(asyncio.create_task, another())
            return first, await other

    async def another() -> int:
        async with RequestExecutor():
            return await seen_thread()

    first, other = asyncio.run(request())
    assert first == other


def test_a_request_without_a_thread_has_none_to_give_back() -> None:
    async def request() -> bool:
        async with ThreadSensitiveContext():
            await give_back_thread(holds_connections=False)
            return has_thread()

    assert not asyncio.run(request())


def test_outside_of_a_request_nothing_is_given_back() -> None:
    asyncio.run(give_back_thread(holds_connections=False))


def test_a_thread_in_which_middleware_waits_is_kept() -> None:
    async def request() -> bool:
        async with ThreadSensitiveContext():
            return await sync_to_async(middleware)()

    def middleware() -> bool:
        async_to_sync(view)()
        return has_thread()

    async def view() -> None:
        await give_back_thread()

    assert asyncio.run(request())


def test_a_thread_of_somebody_else_is_kept() -> None:
    with ThreadPoolExecutor(max_workers=1) as executor:
        context = ThreadSensitiveContext()
        context._executor = executor
        SyncToAsync.context_to_thread_executor[context] = executor
        token = SyncToAsync.thread_sensitive_context.set(context)
        try:
            asyncio.run(give_back_thread(holds_connections=False))
            assert SyncToAsync.context_to_thread_executor[context] is executor
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            del SyncToAsync.context_to_thread_executor[context]
