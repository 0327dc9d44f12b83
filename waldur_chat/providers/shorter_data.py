"""Cut the data in a prompt, results of tools and context, to what the model's window leaves. Plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from waldur_chat.messages import Message, Prompt
from waldur_chat.text_size import size_of
from waldur_chat.wire.cutting import text_within

SHORTEST = 200
"""What is left of each text at least, in bytes: the beginning, and that it was cut."""


def with_data(prompt: Prompt, size: int) -> Prompt:
    """The prompt with at most so many bytes of data. All have an equal share; short ones need less."""
    sizes = [size_of(text) for message in _with_data(prompt) for text in _data(message)]
    if sum(sizes) <= size:
        return prompt
    share = max(_share(sizes, size), SHORTEST)
    return replace(prompt, messages=tuple(_cut(message, share) for message in prompt.messages))


def data_size(prompt: Prompt) -> int:
    """The bytes of data that could be cut."""
    return sum(size_of(text) for message in _with_data(prompt) for text in _data(message))


def _with_data(prompt: Prompt) -> Iterator[Message]:
    return (message for message in prompt.messages if message.data)


def _data(message: Message) -> Iterator[str]:
    return (message.text[begin:end] for begin, end in message.data)


def _share(sizes: Sequence[int], size: int) -> int:
    """The most that each may have, so that all together have that size."""
    left, share = size, 0
    for number, one in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if one > share:
            break
        left -= one
    return max(share, 0)


def _cut(message: Message, share: int) -> Message:
    """The message with at most so many bytes of each of its data."""
    text, at, kept, places = "", 0, message.context_length, []
    for begin, end in message.data:
        text += message.text[at:begin]
        shorter = _shorter(message.text[begin:end], share)
        places.append((len(text), len(text) + len(shorter)))
        text, at = text + shorter, end
        if end <= message.context_length:
            kept -= end - begin - len(shorter)
    if tuple(places) == message.data:
        return message
    return replace(message, text=text + message.text[at:], data=tuple(places), context_length=kept)


def _shorter(text: str, share: int) -> str:
    """At most so many bytes of the text: of rows as many as fit are whole."""
    size = size_of(text)
    if size <= share:
        return text
    return text_within(_parsed(text), len(text) * share // size)


def _parsed(text: str) -> Any:
    """Rows as they were before they became text; any other text as it is."""
    if not text.startswith('{"rows":'):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
