"""Which of a user's tools the model is offered: all, or, if there are too many, those that it has searched for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from waldur_chat.messages import ToolSpec
from waldur_chat.models import ToolCall
from waldur_chat.tools.base import Tool
from waldur_chat.tools.search import search_tools
from waldur_chat.tools.search.search_tools import SearchTools

MOST_CALLS = 200
"""How many calls of a conversation are looked through for what it has loaded, the newest."""


class ToolSelection:
    """The tools of a user, of which a model is offered at most `most` at once.

    If there are more, it is offered `search_tools`, those that are `always_offered`, and what was loaded last.
    """

    def __init__(self, tools: Sequence[Tool], most: int) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._loaded: list[str] = []
        self._always = [tool for tool in tools if tool.always_offered]
        self.is_searched = len(tools) > most
        """Whether tools have to be loaded."""
        if self.is_searched:
            room = max(1, most - len(self._always) - 1)
            search = SearchTools(tools, min(room, search_tools.MOST_FOUND))
            self._tools[search.name] = search
            self._always.insert(0, search)
            self._room = room

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model gets them. What is loaded comes last, so that services can cache what is before it."""
        return tuple(ToolSpec(name=one.name, description=one.description, schema=one.schema) for one in self._offered())

    @property
    def trusted(self) -> set[str]:
        """The names of the tools whose results hold no words of strangers."""
        return {name for name, tool in self._tools.items() if tool.trusted}

    def find(self, name: str) -> Tool | None:
        """The tool of this name, also if it is not loaded: a valid call by its user need not be made twice."""
        return self._tools.get(name)

    def load(self, names: Iterable[str]) -> None:
        """Offer these from now on, in place of the earliest if there is no room."""
        if self.is_searched:
            known = [name for name in names if name in self._tools and not self._tools[name].always_offered]
            self._loaded = list(dict.fromkeys((*self._loaded, *known)))[-self._room :]

    def load_called(self, name: str, result: Any) -> None:
        """Offer a tool that was called, or what a search has found: `result` is its data."""
        self.load(_found(result) if name == search_tools.NAME else [name])

    def load_of(self, thread: UUID, user: Any) -> None:
        """Offer what was called and found in this conversation of the user."""
        calls = ToolCall.objects.filter(thread__uuid=thread, user=user).order_by("-turn_id", "-number")
        for name, result in reversed(calls.values_list("tool", "result")[:MOST_CALLS]):
            self.load_called(name, _read(result) if name == search_tools.NAME else None)

    def _offered(self) -> Iterable[Tool]:
        if not self.is_searched:
            return self._tools.values()
        return (*self._always, *(self._tools[name] for name in self._loaded))


def _found(result: Any) -> list[str]:
    """The names in the data of a search. What was stored may be anything, as after it was erased."""
    names = result.get("loaded") if isinstance(result, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _read(result: str) -> Any:
    try:
        return json.loads(result)
    except ValueError:
        return None
