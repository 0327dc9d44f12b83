"""A call in a thread of its own, for code of the site that may block for long, or for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from django.core.cache import caches

from waldur_chat.runtime.connections import release_connections

T = TypeVar("T")


async def run_in_own_thread(name: str, function: Callable[[], T], places: threading.Semaphore) -> T:
    """What the function returns, from a new thread, which gives back its connections and its place when it ends.

    The caller has acquired the place. A caller that does not wait any longer leaves the thread to itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(method: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            method(value)

    def work() -> None:
        outcome: tuple[Callable[[Any], None], Any]
        try:
            outcome = (future.set_result, function())
        except BaseException as error:  # Also SystemExit, which would end this thread without a word.
            outcome = (future.set_exception, _as_exception(error))
        finally:
            caches.close_all()
            release_connections()
            places.release()
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            loop.call_soon_threadsafe(tell, *outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) and not isinstance(error, StopIteration) else RuntimeError(repr(error))
