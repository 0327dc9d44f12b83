"""The provider of `manage.py chat_doctor`: it relays the text that the doctor sends, at the time when it is sent.

It connects to the doctor's socket and sends one line of JSON: the nonce of the probe, and facts about the site. The
doctor answers with lines: `say <text>` for the next text of the answer, `end` for its end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderUnreachable
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider


class ProbeProvider(Provider):
    """The provider of one probe: the doctor's address, the nonce, and the facts about the site."""

    writes_titles = False

    def __init__(self, *, host: str, port: int, nonce: str, facts: Mapping[str, Any]) -> None:
        self._address = (host, port)
        self._hello = json.dumps({"nonce": nonce, **facts}).encode() + b"\n"

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        try:
            connecting = asyncio.open_connection(*self._address)
            reader, writer = await asyncio.wait_for(connecting, prompt.connect_seconds)
        except (OSError, asyncio.TimeoutError) as error:
            raise ProviderUnreachable(f"The doctor cannot be reached: {type(error).__name__}.") from error
        try:
            writer.write(self._hello)
            while (line := await _line(reader)) != b"end\n":
                yield Delta(text=line.removeprefix(b"say ").rstrip(b"\n").decode())
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readline()
    except OSError as error:
        raise ProviderUnreachable("The doctor hung up.") from error
    if not line.endswith(b"\n"):
        raise ProviderUnreachable("The doctor hung up.")
    return line
