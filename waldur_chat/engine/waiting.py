"""Futures that somebody waits for and somebody else, on the same event loop, calls him by."""

from __future__ import annotations

import asyncio


async def within(timeout: float | None, waiter: asyncio.Future[None]) -> None:
    """Wait to be called, at most so many seconds; cheaper than `asyncio.wait_for()`, since nothing is cancelled."""
    timer = asyncio.get_running_loop().call_later(timeout, wake, waiter) if timeout is not None else None
    try:
        await waiter
    finally:
        if timer:
            timer.cancel()


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Call the one that waits, if there is one."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
