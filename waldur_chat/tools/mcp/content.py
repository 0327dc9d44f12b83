"""What a server answers to a call, as the result of a tool: text and data. Pictures and files are named only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from waldur_chat.store.turns.tool_calls import storable
from waldur_chat.tools.mcp.jsonrpc import asked, text
from waldur_chat.tools.results import ToolResult

SUMMARY_LENGTH = 200
ASKS = (
    "The server asks for more, which cannot be given here. {words} It was not carried out; call it with all it needs."
)


def result_of(result: Mapping[str, Any]) -> ToolResult:
    """The result of a call. Fields of the wrong type are as if they were not there.

    Texts are without what neither databases nor services take: NUL, and halves of surrogate pairs.
    """
    try:
        return _result_of(storable(result))
    except RecursionError:
        return ToolResult.failed("Its result is nested too deeply.")


def _result_of(result: Mapping[str, Any]) -> ToolResult:
    if result.get("resultType", "complete") != "complete":
        return ToolResult.failed(ASKS.format(words=_requests(result.get("inputRequests"))))
    words = "\n\n".join(filter(None, map(_part, _objects(result.get("content")))))
    if result.get("isError") is True:
        return ToolResult.failed(words or "The tool failed, and did not say why.")
    if result.get("structuredContent") is not None:
        return ToolResult(summary=_summary(words), data=result["structuredContent"])
    return ToolResult(summary=_summary(words), data=words or None)


def _summary(words: str) -> str:
    line = " ".join(words[: 2 * SUMMARY_LENGTH].split())
    return line if len(line) <= SUMMARY_LENGTH else f"{line[: SUMMARY_LENGTH - 1]}…"


def _part(part: Mapping[str, Any]) -> str:
    match part.get("type"):
        case "text":
            return part["text"] if isinstance(part.get("text"), str) else ""
        case "resource_link":
            return _link(part)
        case "resource":
            return _resource(part.get("resource"))
        case kind:
            return f"[{text(kind) or 'something'}, not shown: {text(part.get('mimeType')) or 'of no known type'}]"


def _link(part: Mapping[str, Any]) -> str:
    words = [text(part.get(key)) for key in ("name", "title", "description", "mimeType", "uri")]
    return f"[link: {', '.join(filter(None, words))}]"


def _resource(resource: Any) -> str:
    if not isinstance(resource, Mapping):
        return ""
    if isinstance(resource.get("text"), str):
        return f"{text(resource.get('uri'))}\n{resource['text']}"
    return f"[file, not shown: {text(resource.get('uri'))}]"


def _requests(requests: Any) -> str:
    found = _objects(requests.values()) if isinstance(requests, Mapping) else ()
    return " ".join(map(asked, found))


def _objects(values: Any) -> Iterable[Mapping[str, Any]]:
    return [one for one in values if isinstance(one, Mapping)] if isinstance(values, Iterable) else []
