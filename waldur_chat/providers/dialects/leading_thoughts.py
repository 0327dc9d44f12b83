"""Separate thoughts at the beginning of an answer from its text, while both arrive in pieces.

The rules are those of `wire.thoughts`. A stream cannot take back what it has told, so thoughts whose opening tag is
missing are text, unless the provider is known to begin with them (`starts_open`). `on_unopened` tells the provider that
it does, `on_open_answer` that a complete answer has no such thoughts after all. If it certainly begins with them
(`is_certain`), an answer that was cut off before the end tag is nothing but thoughts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from waldur_chat.events import Delta, Reasoning, ReasoningWasAnswer
from waldur_chat.wire import fences
from waldur_chat.wire.fences import Fence
from waldur_chat.wire.thoughts import END_LINE, ENDINGS, OPENINGS

MAX_HELD = 1000
"""How many characters of white space before the answer are held back."""

MAX_FENCE_LINE = 200
"""How many characters of a line with a fence are looked at, so that a long one in small pieces is not read for ever."""

_UNFINISHED = re.compile(
    r"(?:\n(?:</?[a-z]{0,8}>?[ \t]{0,8}\r?| {0,3}(?:`{0,2}|~{0,2}|(?:```|~~~)[^\n]*))?|<[a-z]{0,8})\Z"
)
"""What may matter with the next piece: a tag or a fence at the beginning of a line, or an opening tag anywhere."""

_MARK = re.compile(
    r"(?<=\n)(?= {0,3}(?:```|~~~))(?=(?P<fence>[^\r\n]*)[^\n]*\n)"
    r"|(?P<end>(?<=\n)</think(?:ing)?>[ \t]*\r?\n)|(?P<opening><think(?:ing)?>)"
)

Separated = Delta | Reasoning | ReasoningWasAnswer


class _State(Enum):
    HEAD = auto()
    """Nothing but white space, or a part of a tag."""
    THOUGHT = auto()
    TEXT = auto()


class ThoughtSplitter:
    """Splits the text of one answer: `feed()` it the pieces, then `flush()`."""

    def __init__(
        self,
        *,
        starts_open: bool = False,
        is_certain: bool = False,
        on_unopened: Callable[[], None] = lambda: None,
        on_open_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = _State.HEAD
        self._is_open = starts_open
        self._is_certain = is_certain
        self._on_unopened = on_unopened
        self._on_open_answer = on_open_answer
        self._held = ""
        self._ends: tuple[str, ...] = ENDINGS
        self._open_thoughts: list[str] = []
        """The thoughts of a stream that starts open: without an end tag they are the answer."""
        self._is_after_thought = False
        self._tail: str | None = "\n"
        """The last characters of the text, if an end tag may be among them; None if no end tag counts any more."""
        self._fence: Fence | None = None

    @property
    def is_transparent(self) -> bool:
        """Whether a piece without `<` and without a line feed would pass as it is, so that it need not be fed."""
        return self._state is _State.TEXT and not self._tail

    def feed(self, text: str) -> list[Separated]:
        """Split the next piece. Held back is only what may be the beginning of a tag."""
        self._held += text
        events: list[Separated] = []
        if self._state is _State.HEAD:
            self._read_head()
        while self._state is _State.THOUGHT and self._read_thought(events):
            self._read_head()
        events += self._read_text()
        return events

    def flush(self, *, is_complete: bool = True) -> list[Separated]:
        """What is held back, at the end of the text. White space alone is no answer and left out.

        Thoughts of a stream that started open and has no end tag are its answer after all. They were told as they
        came, since nobody waits in silence for an end tag that may never come.
        """
        held = self._held
        if self._state is _State.HEAD:
            if not held.strip():
                return []
            self._state = _State.TEXT
            return self._read_text()
        self._held = ""
        if self._state is _State.THOUGHT and self._is_open:
            return self._flush_open(held, is_complete=is_complete)
        if self._state is _State.THOUGHT and held:
            return [Reasoning(text=held)]
        if self._tail and not self._fence and END_LINE.search(self._tail[1:]):
            self._tell_unopened()
        return []

    def _flush_open(self, held: str, *, is_complete: bool) -> list[Separated]:
        if self._is_certain and not is_complete:
            return [Reasoning(text=held)] if held else []
        answer = "".join(self._open_thoughts) + held
        if not answer.strip():
            return []
        self._state, self._is_open, self._open_thoughts, self._tail = _State.TEXT, False, [], None
        if is_complete:
            self._on_open_answer()
        return [ReasoningWasAnswer(text=answer)]

    def _read_head(self) -> None:
        """Decide what the text begins with, if that is known yet; a tag is removed."""
        head = self._held.lstrip()
        if self._is_after_thought:
            self._held = head
        if tag := next((tag for tag in OPENINGS if head.startswith(tag)), ""):
            self._begin_thought(head.removeprefix(tag), (tag.replace("<", "</"),))
        elif any(tag.startswith(head) for tag in OPENINGS) and len(self._held) <= MAX_HELD:
            pass  # Not decided yet.
        elif self._is_open:
            self._begin_thought(self._held, ENDINGS)
        else:
            self._state = _State.TEXT

    def _read_text(self) -> list[Separated]:
        """The text that is held; none before the beginning of the text."""
        if self._state is not _State.TEXT or not self._held:
            return []
        text, self._held = self._held, ""
        self._watch(text)
        return [Delta(text=text)]

    def _begin_thought(self, rest: str, ends: tuple[str, ...]) -> None:
        self._state, self._held = _State.THOUGHT, rest
        # An opening tag that is there makes an open start an ordinary one.
        self._is_open = self._is_open and ends is ENDINGS
        self._ends = ends

    def _read_thought(self, events: list[Separated]) -> bool:
        """Take the thought out of what is held. Returns whether it has ended."""
        found = [(at, tag) for tag in self._ends if (at := self._held.find(tag)) >= 0]
        if found:
            at, tag = min(found)
            thought, self._held = self._held[:at], self._held[at + len(tag) :]
            if self._is_open:
                self._on_unopened()
            self._state, self._is_open, self._is_after_thought, self._tail = _State.HEAD, False, True, None
            self._open_thoughts.clear()
        else:
            keep = _length_of_beginning(self._held, self._ends)
            thought, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
            if self._is_open:
                self._open_thoughts.append(thought)
        if thought:
            events.append(Reasoning(text=thought))
        return bool(found)

    def _watch(self, text: str) -> None:
        """Look for an end tag on a line of its own, without an opening tag before it."""
        if self._tail is None:
            return
        seen = self._tail + text
        for mark in _MARK.finditer(seen):
            if mark["fence"]:
                self._fence = fences.after(self._fence, mark["fence"])
            elif mark["opening"]:
                self._tail = None
                return
            elif not self._fence:
                self._tell_unopened()
                return
        unfinished = _UNFINISHED.search(seen)
        self._tail = unfinished.group()[:MAX_FENCE_LINE] if unfinished else ""

    def _tell_unopened(self) -> None:
        self._tail = None
        self._on_unopened()


def _length_of_beginning(text: str, tags: tuple[str, ...]) -> int:
    """How many characters at the end of the text may be the beginning of one of these tags."""
    sizes = range(min(len(text), max(map(len, tags)) - 1), 0, -1)
    return next((size for size in sizes if any(tag.startswith(text[-size:]) for tag in tags)), 0)
