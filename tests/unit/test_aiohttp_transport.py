"""The transport by aiohttp: what it holds, and what it does not do to the process."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections import deque
from contextlib import aclosing
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.unit.aio import PROMPT, answer, closing, fake_service, run
from tests.unit.conftest import use_transport
from waldur_chat import __version__
from waldur_chat.messages import Message
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport.aiohttp_transport import READ_AHEAD_BYTES
from waldur_chat.providers.transport.base import ACCEPT

MAX_RECEIVED_BYTES = 256 * 1024
"""What asyncio takes from a socket at once."""


@pytest.fixture(autouse=True)
def aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    use_transport("aiohttp", monkeypatch)


def test_the_service_learns_who_asks_and_nothing_of_the_machine() -> None:
    async def main() -> None:
        async with fake_service() as service:
            async with closing(OpenAIProvider(base_url=f"{service.address}/v1", api_key="sk", model="tokens=1")) as one:
                await answer(one)
            assert {name: value for name, value in service.request["headers"].items() if name != "host"} == {
                "accept": ACCEPT,
                "accept-encoding": "identity",
                "authorization": "Bearer sk",
                "content-length": service.request["headers"]["content-length"],
                "content-type": "application/json",
                "user-agent": f"waldur_chat/{__version__}",
            }

    run(main())


def test_the_sdk_is_not_imported() -> None:
    script = """
import asyncio, os, sys, types
import django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
django.setup()
from tests.unit.aio import PROMPT, answer_once, fake_service
from waldur_chat.providers.openai import OpenAIProvider

async def main():
    async with fake_service() as service:
        await answer_once(OpenAIProvider(base_url=f"{service.address}/v1", model="tokens=1"))

asyncio.run(main())
assert "aiohttp" in sys.modules
assert "openai" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def holders(words: bytes) -> list[type]:
    """What holds bytes with these words in them."""
    return [
        type(one)
        for one in gc.get_objects()
        for held in gc.get_referents(one)
        if type(held) in (bytes, bytearray) and held is not words and words in held
    ]


def test_an_answer_that_lasts_holds_no_prompt() -> None:
    words = f"Be kind to {uuid4()}."  # Which no other test has asked.
    prompt = replace(PROMPT, messages=(Message(role="user", text=words),))

    async def main() -> None:
        async with fake_service() as service:
            provider = OpenAIProvider(base_url=f"{service.address}/v1", model="tokens=2&delay=30")
            async with closing(provider), aclosing(provider.stream(prompt)) as events:
                await anext(events)
                gc.collect()
                assert holders(words.encode()) == []

    run(main())


def bytes_read_ahead() -> int:
    """How many bytes of answers wait in queues to be read."""
    queues = [one for one in gc.get_objects() if type(one) is deque]
    return sum(len(data) for queue in queues for data in list(queue) if type(data) is bytes and b'"delta"' in data)


def test_a_stream_that_nobody_reads_is_held_back() -> None:
    async def main() -> int:
        async with fake_service() as service:
            provider = OpenAIProvider(base_url=f"{service.address}/v1", model="tokens=1000000")
            async with closing(provider), aclosing(provider.stream(PROMPT)) as events:
                await anext(events)
                written = -1
                while written != service.stats.written:  # Until the buffers of the system are full, too.
                    written = service.stats.written
                    await asyncio.sleep(0.2)
                return bytes_read_ahead()

    assert 0 < run(main(), seconds=60) <= 2 * READ_AHEAD_BYTES + MAX_RECEIVED_BYTES
