"""The streams with calls of tools, and what becomes of one: `streams/calls/README.md` has the format of the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waldur_chat.errors import ProviderError
from waldur_chat.events import CallRequested, Delta, ProviderEvent, Reasoning, Stopped
from waldur_chat.providers.dialects.call_reader import PromptTools
from waldur_chat.providers.openai_chunks import ChunkReader

FOLDER = Path(__file__).parent / "streams" / "calls"
NAMES = frozenset({"get_weather", "get_time", "search"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a service said. Calls are names and arguments, which are texts where they are no JSON."""

    calls: list[Any]
    text: str = ""
    reasoning: str = ""
    key: str = ""
    extra: list[Any]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledCase:
    """A stream, its sources, and what it means."""

    name: str
    sources: tuple[str, ...]
    body: bytes
    means: Said
    in_text: bool

    def __str__(self) -> str:
        return self.name

    def said(self, pieces: Sequence[bytes]) -> Said:
        """What the body means in these pieces."""
        return said(pieces, PromptTools(names=NAMES, in_text=self.in_text))


def cases() -> list[CalledCase]:
    """All cases, of all files."""
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in _read(path)]


def events_of(pieces: Sequence[bytes], tools: PromptTools | None) -> tuple[list[ProviderEvent], str]:
    """The events of a stream in these pieces, and the name of the error that ends them."""
    reader, events = ChunkReader(tools=tools), list[ProviderEvent]()
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                events.append(event)
        events += reader.finish()
    except ProviderError as error:
        return events, type(error).__name__
    return events, ""


def said(pieces: Sequence[bytes], tools: PromptTools | None) -> Said:
    """What a stream in these pieces means. White space around texts means nothing."""
    events, error = events_of(pieces, tools)
    calls = [event for event in events if isinstance(event, CallRequested)]
    stops = [at for at, event in enumerate(events) if isinstance(event, Stopped)]
    assert error or not stops or not any(isinstance(event, CallRequested) for event in events[stops[-1] :])
    assert len({call.id for call in calls}) == len(calls)
    return Said(
        calls=[[call.name, parsed(call.arguments)] for call in calls],
        text="".join(event.text for event in events if isinstance(event, Delta)).strip(),
        reasoning="".join(event.text for event in events if isinstance(event, Reasoning)).strip(),
        key=next((call.reasoning_key for call in calls), ""),
        extra=[call.extra for call in calls],
        error=error,
    )


def parsed(arguments: str) -> Any:
    """The arguments; as they are if they are no JSON."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _read(path: Path) -> list[CalledCase]:
    parts = ("\n" + path.read_text(encoding="utf-8")).split("\n=== ")[1:]
    return [_case(path.stem, part) for part in parts]


def _case(stem: str, part: str) -> CalledCase:
    head, body = part.split("\n---\n", 1)
    title, *lines = head.splitlines()
    given = [tuple(line.split(": ", 1)) for line in lines]
    told = {name: value for name, value in given if name not in ("source", "note")}
    calls, error = json.loads(told.pop("calls")), told.pop("error", "")
    values = {name: json.loads(value) for name, value in told.items()}
    in_text = values.pop("in_text", False)
    means = Said(calls=calls, error=error, **{"extra": [{} for _ in calls], **values})
    sources = tuple(value for name, value in given if name == "source")
    return CalledCase(
        name=f"{stem}: {title}",
        sources=sources,
        body=body.strip("\n").encode() + b"\n\n",
        means=means,
        in_text=in_text,
    )
