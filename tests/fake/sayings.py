"""What the fake service says where an event is due: things that no provider should say. By name, in pieces.

Some never end: their pieces are made one by one, as they are written.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, repeat
from typing import Any

PIECE = 64 * 1024


def event(payload: Any) -> bytes:
    """One server-sent event, as OpenAI writes it."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **fields: Any) -> bytes:
    """One `chat.completion.chunk` event."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **fields})


def say(name: str) -> Iterable[bytes]:
    """The pieces of what has this name."""
    return _SAYINGS[name]()


def _bomb() -> Iterable[bytes]:
    """An endless line, compressed a thousand times: a full flush makes a block that can be repeated for ever."""
    head, block = _bomb_parts()
    return chain([head], repeat(block))


@cache
def _bomb_parts() -> tuple[bytes, bytes]:
    compressor = zlib.compressobj(wbits=31)
    head = compressor.compress(b"data: ") + compressor.flush(zlib.Z_FULL_FLUSH)
    return head, compressor.compress(b"x" * (16 * 1024 * 1024)) + compressor.flush(zlib.Z_FULL_FLUSH)


_CALL = {"index": 0, "id": "t1", "type": "function", "function": {"name": "delete_everything", "arguments": "{}"}}

_SAYINGS: dict[str, Callable[[], Iterable[bytes]]] = {
    "": list,
    "empty": list,
    "refusal": lambda: [b'{"error": {"message": "no", "code": "no"}}'],
    "html": lambda: [b"<html>A proxy's login page</html>"],
    "error": lambda: [event({"error": {"message": "the GPU is on fire", "type": "server_error", "code": 500}})],
    "malformed": lambda: [b'data: {"choices": [}\n\n'],
    "array": lambda: [event([1, 2, 3])],
    "nested": lambda: [b"data: " + b"[" * 100_000 + b"\n\n"],
    "half-event": lambda: [b'data: {"choices": [{"delta": {"content": "gr'],
    "half-character": lambda: [b'data: {"choices": [{"delta": {"content": "gr\xc3'],
    "invalid-utf-8": lambda: [b'data: {"choices": [{"delta": {"content": "gr\xff\xfen"}}]}\n\n'],
    "tool-calls": lambda: [chunk({"content": None, "tool_calls": [_CALL]})],
    "pings": lambda: repeat(b": ping\n\n"),
    "endless": lambda: repeat(b"x" * PIECE),
    "endless-line": lambda: chain([b"data: "], repeat(b"x" * PIECE)),
    "endless-event": lambda: repeat((b"data: " + b"x" * 10_000 + b"\n") * (PIECE // 10_000)),
    "many-tokens": lambda: repeat(chunk({"content": "x" * 1000}) * 60, 100),
    "endless-tokens": lambda: repeat(chunk({"content": "x" * 1000}) * 60),
    "bomb": _bomb,
}
