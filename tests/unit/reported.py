"""The reported streams: what services send, as documentation, SDKs and public reports show it, and what it means.

They were not recorded: the shapes are those of the sources, the texts are ours. `streams/reported/README.md` has the
format of the files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "streams" / "reported"
ANY = "any"
"""The error of a case where only this much is certain: it is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a service said: an answer and how it ended, or the error, after which text and reasoning are halves.

    Blank space around text and reasoning means nothing. `usage` is None if nothing that can be true was reported.
    """

    text: str = ""
    reasoning: str = ""
    stop: str = ""
    usage: tuple[int, int] | None = None
    error: str = ""
    """The name of the error's class; empty for a complete answer."""
    context_tokens: int | None = None

    @property
    def is_complete(self) -> bool:
        return not self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A response of a service: its sources, its bytes, and what it means."""

    name: str
    service: str
    sources: tuple[str, ...]
    body: bytes
    means: Meaning
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the provider."""

    def __str__(self) -> str:
        return self.name

    def agrees(self, found: Meaning) -> bool:
        """Whether this is what the case means. The usage of what failed counts only where the case names it."""
        seen = {each.name: getattr(found, each.name) for each in fields(found)}
        if self.means.error and self.means.usage is None:
            del seen["usage"]
        if self.means.error == ANY and found.error:
            seen |= {"error": ANY, "context_tokens": None}
        return all(getattr(self.means, name) == value for name, value in seen.items())


def cases() -> list[Case]:
    """All cases, of all files."""
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in _read(path)]


def _read(path: Path) -> list[Case]:
    head, *parts = ("\n" + path.read_text(encoding="utf-8")).split("\n=== ")
    service = head.strip().removeprefix("service: ")
    return [_case(service, path.stem, part) for part in parts]


def _case(service: str, stem: str, part: str) -> Case:
    head, body = part.split("\n---\n", 1)
    title, *lines = head.splitlines()
    given = [tuple(line.split(": ", 1)) for line in lines]
    said = {name: value for name, value in given if name not in ("source", "header")}
    tokens = said.pop("usage", "").split()
    status, options = int(said.pop("status", "200")), json.loads(said.pop("options", "{}"))
    context = said.pop("context", "")
    said.pop("note", "")
    means = Meaning(
        text=json.loads(said.pop("text", '""')),
        reasoning=json.loads(said.pop("reasoning", '""')),
        stop=said.pop("stop", ""),
        usage=(int(tokens[0]), int(tokens[1])) if tokens else None,
        error=said.pop("error", ""),
        context_tokens=int(context) if context else None,
    )
    if said:
        raise ValueError(f"{stem}, {title}: unknown {sorted(said)}")
    return Case(
        name=f"{stem}: {title}",
        service=service,
        sources=tuple(value for name, value in given if name == "source"),
        body=body.strip("\n").encode() + (b"\n\n" if status == 200 else b""),
        means=means,
        status=status,
        headers=dict(value.split(": ", 1) for name, value in given if name == "header"),
        options=options,
    )
