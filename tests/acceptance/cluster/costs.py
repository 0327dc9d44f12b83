"""What it costs one machine that answers can be come back to."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance.streams import family
from tests.processes import TOKEN, Running
from waldur_chat.store.turns.partials import CHANNEL


async def read_all(port: int, question: str, streams: int) -> None:
    """Read so many answers to the question at once."""
    await asyncio.gather(*(_read(port, question) for _ in range(streams)))


async def _read(port: int, question: str) -> None:
    body = json.dumps({"input": question})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /api/chat/stream/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    tail = b""
    while piece := await reader.read(1 << 16):
        tail = (tail + piece)[-1000:]
    writer.close()
    if b"event: end" not in tail:
        raise RuntimeError(f"there was no whole answer: {tail!r}")


def cpu_seconds(server: Running) -> float:
    """The processor time that a server and its children have used so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split() for pid in family(server.process.pid))
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / ticks


def statements_of_the_log(connection: Any, seconds: float) -> Counter[int]:
    """How many statements each process has written pieces with; each of them rings once, and so does an end."""
    connection.execute(f"LISTEN {CHANNEL}")
    return Counter(notification.pid for notification in connection.notifies(timeout=seconds))
