"""The recorded streams of real services, and what becomes of one however it is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from waldur_chat.errors import ProviderError
from waldur_chat.events import Delta, ProviderEvent, Reasoning

BYTES = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
LINE_ENDS = tuple(BYTES)
ALL_CUTS = ("LF", *(pytest.param(line_end, marks=pytest.mark.slow) for line_end in LINE_ENDS if line_end != "LF"))
"""Line ends for tests of every cut, of which there are many. Single bytes try what differs between line ends."""

Outcome = tuple[list[ProviderEvent], type[ProviderError] | None]


class Reader(Protocol):
    """What translates a stream of one protocol."""

    def feed(self, data: bytes) -> Iterator[ProviderEvent]: ...

    def finish(self) -> list[ProviderEvent]: ...


def stream(name: str, line_end: str = "LF") -> bytes:
    """The bytes of a stream. The files hold line feeds."""
    return (Path(__file__).parent / "streams" / f"{name}.txt").read_bytes().replace(b"\n", BYTES[line_end])


def outcome(reader: Reader, pieces: Sequence[bytes]) -> Outcome:
    """The events that a stream in these pieces makes, and the error that ends them."""
    events: list[ProviderEvent] = []
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                events.append(event)  # noqa: PERF402  (extend() would lose those before an error)
        events += reader.finish()
    except ProviderError as error:
        return events, type(error)
    return events, None


def spelled(found: Outcome) -> Outcome:
    """The same with texts letter by letter: how many of them are one event depends on how the bytes come."""
    events: list[ProviderEvent] = []
    for event in found[0]:
        is_text = isinstance(event, (Delta, Reasoning))
        events += [type(event)(text=letter) for letter in event.text] if is_text else [event]
    return events, found[1]
