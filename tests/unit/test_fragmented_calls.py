"""Calls in thousands of fragmentations, as services might send them: the same calls come out, or a clear refusal."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.unit.called import NAMES, said
from waldur_chat.providers.dialects.call_reader import PromptTools

OFFERED = PromptTools(names=NAMES)
NAMED = ("first", "blank first", "late", "each")
VALUES = ["", "Tartu", 'a "quoted" } {', "\\", "[]{}", "\U0001f600ä", 7, None, [1, {"a": "}"}], {"b": {}}]
Call = tuple[str, dict[str, Any]]


HABITS = [
    # Ids, indices, names: those of OpenAI, and what was reported of others, more widely mixed than any of them does it.
    *(
        (ids, index, name)
        for ids in ("each", "first")
        for index in ("right", "zero", "none", "growing")
        for name in NAMED
    ),
    *(("late", index, name) for index in ("right", "zero") for name in NAMED),
    *(("none", index, name) for index in ("right", "zero", "none") for name in ("first", "each")),
    ("none", "growing", "first"),
    *(("same", index, name) for index in ("right", "zero", "none") for name in ("first", "each")),
]


class Service:
    """A service whose habits are drawn at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._ids, self._index, self._name = self._draw(*HABITS)
        self._is_whole = self._draw(True, False, False)
        self.interleaves = self._ids in ("each", "first") and self._index == "right" and self._draw(True, False)
        self._placeholder = self._draw("", "", "", "{}")
        self._sends_objects = self._is_whole and self._draw(True, False)
        calls = [self._call() for _ in range(self.random.randint(1, 5))]
        self.calls = list(_told_apart(calls)) if self._ids == "same" and self._index != "right" else calls

    def _draw(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def _call(self) -> Call:
        keys = self.random.sample("abcd", self.random.randint(0, 3))
        return self._draw(*sorted(NAMES)), {key: self._draw(*VALUES) for key in keys}

    def body(self) -> bytes:
        """The stream."""
        rows = [list(self._fragments(number, *call)) for number, call in enumerate(self.calls)]
        deltas = list(self._alternating(rows) if self.interleaves else (one for row in rows for one in row))
        chunks: list[list[dict[str, Any]]] = []
        for delta in deltas:  # Sometimes several in one chunk.
            if chunks and self.random.random() < 0.2:
                chunks[-1].append(delta)
            else:
                chunks.append([delta])
        reason = self._draw("stop", "tool_calls")
        events = [{"choices": [{"delta": {"tool_calls": chunk}}]} for chunk in chunks]
        ends = [{"choices": [{"delta": {}, "finish_reason": reason}]}]
        return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events + ends) + b"data: [DONE]\n\n"

    def _alternating(self, rows: list[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        while rows := [row for row in rows if row]:
            yield self._draw(*rows).pop(0)

    def _fragments(self, number: int, name: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        parts = self._parts(arguments)
        for at, part in enumerate(parts):
            fragment: dict[str, Any] = {"function": {"arguments": part}}
            if self._names_now(at, len(parts)):
                fragment["function"]["name"] = name
            elif self._name == "blank first":
                fragment["function"]["name"] = ""
            if call_id := self._id(number, at):
                fragment["id"] = call_id
            if self._index != "none":
                fragment["index"] = {"right": number, "zero": 0, "growing": number + at}[self._index]
            yield fragment

    def _names_now(self, at: int, size: int) -> bool:
        wanted = {"blank first": min(1, size - 1), "late": size - 1}.get(self._name, 0)
        return self._name == "each" or at == wanted

    def _id(self, number: int, at: int) -> str:
        if self._ids == "same":
            return "call_0"
        is_told = self._ids == "each" or (self._ids == "first" and at == 0) or (self._ids == "late" and at == 1)
        return f"call_{number}" if is_told else ""

    def _parts(self, arguments: dict[str, Any]) -> list[Any]:
        text = json.dumps(arguments, ensure_ascii=self._draw(True, False)) if arguments else self._draw("{}", "")
        if self._is_whole:
            return [arguments if self._sends_objects else text]
        cuts = sorted(self.random.randint(0, len(text)) for _ in range(self.random.randint(0, 6)))
        parts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return [self._placeholder, *parts]

    @property
    def is_proper(self) -> bool:
        """Whether it tells calls apart by what OpenAI's protocol has for it."""
        return self._ids in ("each", "first") and self._index == "right" and self._name in ("first", "each")


def _told_apart(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls without those that one id at one place makes one with the call before, by OpenAI's own protocol.

    A service that tells the name or the arguments of a call again sends the same bytes (`streams/calls/arguments.txt`).
    """
    before = None
    for call in calls:
        if not (before and before[0] == call[0] and (before[1] == call[1] or not before[1] or not call[1])):
            yield call
            before = call


def outcome(service: Service) -> str:
    """What becomes of the calls: right, which is exactly these, refused, or wrong."""
    found = said([service.body()], OFFERED)
    expected = [list(call) for call in service.calls]
    if found.error == "ProviderFailed":
        return "refused"
    if service.interleaves:
        return "right" if sorted(map(repr, found.calls)) == sorted(map(repr, expected)) else "wrong"
    return "right" if found.calls == expected else "wrong"


def outcomes(seeds: range) -> Counter[str]:
    """How often each is the outcome. A service that does what OpenAI does must not be refused."""
    services = [Service(seed) for seed in seeds]
    found = [(outcome(service), service.is_proper) for service in services]
    return Counter("wrong" if one == ("refused", True) else one[0] for one in found)


def test_a_hundred_fragmentations_make_the_same_calls_or_a_refusal() -> None:
    found = outcomes(range(100))
    assert (found["wrong"], found["right"] > 75) == (0, True)


@pytest.mark.slow
def test_five_thousand_fragmentations_make_the_same_calls_or_a_refusal() -> None:
    found = outcomes(range(5000))
    assert (found["wrong"], found["right"] > 3750) == (0, True)
