"""What a token costs in calls of Python functions, which are the same on every machine.

python -m tests.benchmarks.calls
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
django.setup()

from django.test import override_settings  # noqa: E402

from tests.unit.test_costs import SETTINGS, TOKENS, alone, body_of, together  # noqa: E402


class Calls:
    """Counts the calls of Python functions."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        self.count += event == "call"


async def counted(pieces: list[bytes]) -> int:
    """How many calls it takes to write a stream of such an answer."""
    body, calls = await body_of(pieces), Calls()
    sys.setprofile(calls)
    try:
        async for _ in body:
            pass
    finally:
        sys.setprofile(None)
    return calls.count


def each(pieces: Callable[[int], list[bytes]]) -> float:
    """Calls for each token that an answer is longer."""
    longer, shorter = (asyncio.run(counted(pieces(tokens))) for tokens in (TOKENS, TOKENS // 2))
    return (longer - shorter) / (TOKENS // 2)


if __name__ == "__main__":
    with override_settings(WALDUR_CHAT=SETTINGS):
        asyncio.run(counted(alone(1)))  # What is done once in a process.
        print(f"A token that comes alone takes {each(alone):.1f} calls, the event loop's own among them.")
        print(f"One of those that come together takes {each(together):.1f}.")
