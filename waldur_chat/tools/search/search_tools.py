"""The tool with which a model finds other tools. What it finds can be called from the next round on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.search.ranking import ranked

NAME = "search_tools"
MOST_FOUND = 8
NAMES_LENGTH = 6000
"""Characters of the names of tools in the description."""

DESCRIPTION = (
    "Find and load tools. You have more tools than are shown: all of them are named below, and can be called after you "
    "have loaded them here. Do this before you say that something cannot be done. Tools: {names}"
)
QUERY = (
    "Names from the list, or words for what you need. If the user writes in another language than the names, translate."
)
NOTHING_FOUND = "No tool fits these words. Use names from the list, or other words in the language of the list."


class SearchTools(Tool):
    """Searches the tools of one user."""

    name = NAME
    is_safe = True
    trusted = True
    always_offered = True
    schema = {
        "type": "object",
        "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 400, "description": QUERY}},
        "required": ["query"],
        "additionalProperties": False,
    }

    def __init__(self, tools: Sequence[Tool], most: int = MOST_FOUND) -> None:
        self._tools = [tool for tool in tools if not tool.always_offered]
        self._most = most
        self.description = DESCRIPTION.format(names=_listed([tool.name for tool in self._tools]))

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """The names of what fits best: data `{"loaded": [...]}`. The tools themselves are in the next request."""
        names = [tool.name for tool in ranked(arguments["query"], self._tools)[: self._most]]
        if not names:
            return ToolResult(summary=NOTHING_FOUND, data={"loaded": [], "advice": NOTHING_FOUND})
        return ToolResult(summary=f"Loaded: {', '.join(names)}.", data={"loaded": names})


def _listed(names: Sequence[str]) -> str:
    """The names with commas, as many as have room."""
    text = ", ".join(names)
    if len(text) <= NAMES_LENGTH:
        return text
    shown = text[:NAMES_LENGTH].rpartition(", ")[0]
    return f"{shown}, and {len(names) - shown.count(', ') - 1} more, which words find."
