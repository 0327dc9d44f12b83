"""The calls of one answer, wherever they are: in fields of their own, or written into the text. Yields their events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from waldur_chat.events import FILTERED, LENGTH, CallPending, Delta, ProviderEvent
from waldur_chat.providers.dialects.calls import CallAssembler
from waldur_chat.providers.dialects.chunks import Chunk
from waldur_chat.providers.dialects.text_calls import TextCalls

CALL_REASONS = ("tool_calls", "function_call", "tool_use", "tool_call")
"""The words of services for the end of an answer that asks for calls: to us it is complete."""

EARLY_TRIES = 16
"""How often whole calls are looked for before the end of the stream: some services send a reason with every chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTools:
    """The tools of a prompt: their names, and the ids of calls that the prompt holds.

    `in_text` is whether the model may write calls into its text.
    """

    names: frozenset[str]
    taken: frozenset[str] = frozenset()
    in_text: bool = False


class CallReader:
    """Reads the calls of one answer; see `CallAssembler` and `TextCalls`."""

    def __init__(self, tools: PromptTools, max_size: int) -> None:
        self._assembler = CallAssembler(tools.names, tools.taken, max_size)
        self._text = TextCalls(tools.names, max_size) if tools.in_text else None
        self._comes_in_deltas = False
        self._tries = 0
        self.reasoning_key = ""
        """The field in which the thoughts of the answer came."""

    @property
    def is_transparent(self) -> bool:
        """Whether text is told as it is."""
        return self._text is None or self._text.is_over

    def read(self, chunk: Chunk) -> Iterator[ProviderEvent]:
        """Take the calls of a chunk."""
        self.reasoning_key = chunk.reasoning_key or self.reasoning_key
        if chunk.calls:
            self._comes_in_deltas = True
            self._assembler.feed(chunk.calls)
        elif chunk.whole_calls and not self._comes_in_deltas:
            self._assembler.feed_whole(chunk.whole_calls)
        else:
            return
        yield CallPending()

    def pass_on(self, events: Iterable[ProviderEvent]) -> Iterator[ProviderEvent]:
        """The events without text that may be a call."""
        for event in events:
            if self._text is None or not isinstance(event, Delta):
                yield event
                continue
            if text := self._text.feed(event.text):
                yield Delta(text=text)
            else:
                yield CallPending()

    def tell(self, reason: str, *, is_end: bool) -> Iterator[ProviderEvent]:
        """The calls that are whole, once the model has stopped; at the end of the stream also what else is held.

        Raises `ProviderFailed` for what cannot be put together.
        """
        self._tries += 1
        if self._tries > EARLY_TRIES and not is_end:
            return
        if self._text and (calls := self._text.take()) and not self._assembler.has_calls:
            self._assembler.feed_whole(calls)
        if self._text and is_end and (text := self._text.release()):
            yield Delta(text=text)
        for call in self._assembler.tell(is_end=is_end, is_cut=reason in (LENGTH, FILTERED)):
            yield replace(call, reasoning_key=self.reasoning_key)
