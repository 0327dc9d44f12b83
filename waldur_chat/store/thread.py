"""The thread of this process in which turns use the database: one, so that acts follow each other as they were asked.

An act that was asked for is done, also when who asked is cancelled meanwhile. It keeps no connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

_executors: dict[int, ThreadPoolExecutor] = {}


def do(act: Callable[..., T], *args: object) -> asyncio.Future[T]:
    """Ask for an act; await what it returns or raises."""
    executor = _executors.get(os.getpid())
    if executor is None:
        executor = _executors[os.getpid()] = ThreadPoolExecutor(max_workers=1, thread_name_prefix="waldur-chat-store")
    return asyncio.get_running_loop().run_in_executor(executor, partial(_do, act, *args))


def _do(act: Callable[..., T], *args: object) -> T:
    try:
        return act(*args)
    finally:
        connections.close_all()
