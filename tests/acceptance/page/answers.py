"""What a test lets the page's server answer: a few pieces of a stream, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Step(Enum):
    WAIT = "until the test says go() or the browser hangs up"
    BREAK = "the connection, without its proper end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    body: tuple[bytes | Step | Callable[[], bytes], ...]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the stream received."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def input(self) -> str:
        return str(self.body["input"])


START = b'id: 1\nevent: start\ndata: {"turn_uuid":"%032d"}\n\n' % 7
END = (
    b'event: end\ndata: {"c":"","finish_reason":"stop","additional_kwargs":'
    b'{"usage_metadata":{"input_tokens":3,"output_tokens":9}}}\n\n'
)


TURN = f"{7:032}"
"""The turn that every answer names."""

SOON = b"retry: 20\n\n"
"""Lets the page come back at once when the connection breaks."""


def event(name: str, **payload: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(payload)}\n\n".encode()


def delta(text: str) -> bytes:
    return f"data: {json.dumps({'c': text}, ensure_ascii=False)}\n\n".encode()


def at(position: str, text: str) -> bytes:
    """A delta with its id, as the real API sends it."""
    return b"id: %b\n%b" % (position.encode(), delta(text))


def end(answer: str, question: str = "") -> bytes:
    """The end of an answer that is stored under this UUID."""
    stored = {"assistant_message_uuid": answer, **({"user_message_uuid": question} if question else {})}
    return b"id: end\n%b" % event("end", c="", finish_reason="stop", **stored)


def words(*pieces: bytes | Step | str) -> Answer:
    """An answer of a few pieces; text becomes deltas. Its end must be given, so that a test can leave it out."""
    return Answer(body=(START, *(delta(piece) if isinstance(piece, str) else piece for piece in pieces)))


def refusal(status: int, body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body=(content,), headers={"Content-Type": kind, **named})
