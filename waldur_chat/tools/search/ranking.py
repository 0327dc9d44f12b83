"""Rank tools by the words of a query: plain, and the same for the same query and tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

from waldur_chat.tools.base import Tool

NAME, OTHER = 4.0, 1.0
"""What a word counts in the name of a tool, and in its description or its parameters."""

ALIKE = 0.6
"""What a word counts that only begins alike, as "invoice" and "invoicing"."""

SHORTEST_BEGINNING = 4

RELEVANT = 0.3
"""The least share of the best rank that a tool must have to be found."""


def ranked(query: str, tools: Sequence[Tool]) -> list[Tool]:
    """The tools that the query names, in its order; then those that share its other words, the best first."""
    by_name = {tool.name: tool for tool in tools}
    named = list(dict.fromkeys(name for name in re.findall(r"[\w-]+", query) if name in by_name))
    others = [tool for tool in tools if tool.name not in named]
    rest = " ".join(word for word in re.findall(r"[\w-]+", query) if word not in by_name)
    return [*(by_name[name] for name in named), *_by_words(rest, others)]


def _by_words(query: str, tools: Sequence[Tool]) -> list[Tool]:
    weights = [_weights(tool) for tool in tools]
    ranks = [0.0] * len(tools)
    for word in dict.fromkeys(_words(query)):
        found = [_found(word, words) for words in weights]
        number = sum(map(bool, found))
        if number <= max(1, len(tools) / 2):  # What most tools have says nothing, as "list" and "the".
            rarity = log(1 + len(tools) / max(1, number))
            ranks = [rank + rarity * one for rank, one in zip(ranks, found, strict=True)]
    least = RELEVANT * max(ranks, default=0.0)
    order = sorted(range(len(tools)), key=lambda at: -ranks[at])  # The sort is stable.
    return [tools[at] for at in order if ranks[at] and ranks[at] >= least]


def _weights(tool: Tool) -> dict[str, float]:
    """The words of a tool, and what each counts."""
    others = (tool.description, *_texts(tool.schema.get("properties", {})))
    return {
        **{word: OTHER for text in others for word in _words(text)},
        **dict.fromkeys(_words(tool.name), NAME),
    }


def _texts(properties: Mapping[str, Any]) -> Iterable[str]:
    for name, schema in properties.items():
        yield name
        if isinstance(schema, Mapping):
            yield str(schema.get("description", ""))


def _found(word: str, weights: Mapping[str, float]) -> float:
    """What the word counts in a tool; 0 if it is not there."""
    if word in weights:
        return weights[word]
    return max((ALIKE * weight for other, weight in weights.items() if _begin_alike(word, other)), default=0.0)


def _begin_alike(one: str, other: str) -> bool:
    shared = min(len(one), len(other), max(SHORTEST_BEGINNING, max(len(one), len(other)) - 3))
    return shared >= SHORTEST_BEGINNING and one[:shared] == other[:shared]


def _words(text: str) -> list[str]:
    """The words in small letters, also those of snake_case and camelCase."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", apart.casefold())
