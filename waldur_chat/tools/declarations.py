"""Tools that `WALDUR_CHAT["TOOLS"]` declares: entries with `VIEW`, `BACKEND` or `MCP` by name, or a ready set."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from django.urls import get_resolver
from django.utils.module_loading import import_string
from django.utils.translation import get_language

from waldur_chat.tools.base import APPROVALS, ROLES, Tool
from waldur_chat.tools.functions.declared import FunctionTool
from waldur_chat.tools.mcp import servers
from waldur_chat.tools.mcp.servers import McpServer
from waldur_chat.tools.problems import ToolProblem, ToolRefused
from waldur_chat.tools.views.view_tool import METHODS, ViewTool

SETTING = "WALDUR_CHAT['TOOLS']"
READY = {"waldur": "waldur_chat.waldur_tools.WALDUR_TOOLS"}
"""Sets of tools by the names that the setting may have in place of a dict."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_text, value))


def _is_dicts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(inner, Mapping) for inner in value.values())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_query(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_text(name) and _is_sendable(one) for name, one in value.items())


def _is_sendable(value: Any) -> bool:
    values = value if isinstance(value, (list, tuple)) else (value,)
    return all(isinstance(one, (str, int, float)) for one in values)


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "VIEW": (_is_text, "the name of a view, as reverse() takes it"),
    "METHOD": (lambda value: value in METHODS, f"one of {', '.join(METHODS)}"),
    "FIELDS": (_is_names, "a list of names of fields"),
    "ROWS": (lambda value: type(value) is int and value > 0, "a whole number above 0"),
    "PARAMETERS": (_is_names, "a list of names of arguments"),
    "QUERY": (_is_query, "a dict from names to strings, numbers, booleans, or lists of these"),
    "SHOW": (_is_text, "the dotted path of a function"),
    "OPTIONAL": (lambda value: isinstance(value, bool), "True or False"),
    "BACKEND": (_is_text, "the dotted path of a Tool or a function"),
    "OPTIONS": (lambda value: isinstance(value, Mapping), "a dict"),
    "MCP": (lambda value: isinstance(value, Mapping), f"a dict with {', '.join(servers.KEYS)}"),
    "ONLY": (_is_names, "a list of names of tools, as the server has them"),
    "OVERRIDES": (_is_dicts, "a dict from names of tools, as the server has them, to dicts"),
    "SAFE": (lambda value: isinstance(value, bool), "True or False"),
    "DESCRIPTION": (_is_text, "a string that is not empty"),
    "APPROVAL": (lambda value: value in APPROVALS, f"one of {', '.join(APPROVALS)}"),
    "ROLES": (lambda value: value in ROLES, f"one of {', '.join(ROLES)}"),
    "TRUSTED": (lambda value: isinstance(value, bool), "True or False"),
    "OUTWARD": (lambda value: isinstance(value, bool), "True or False"),
    "ATOMIC": (lambda value: isinstance(value, bool), "True or False"),
    "SECONDS": (_is_number, "a number of seconds above 0"),
}
"""The keys of an entry: whether a value is valid, and what it must be."""

OF_ALL = {
    "DESCRIPTION": "description",
    "APPROVAL": "approval",
    "ROLES": "roles",
    "TRUSTED": "trusted",
    "OUTWARD": "outward",
    "ATOMIC": "atomic",
    "SECONDS": "timeout_seconds",
}
"""The keys that views and backends have, and the attributes of `Tool` that they set."""

OF_MCP_TOOLS = {"SAFE": "is_safe", **{key: value for key, value in OF_ALL.items() if key != "ATOMIC"}}
"""The keys of `OVERRIDES`. A transaction around a call of a server would be held while it is waited for."""

OPTIONS_OF_VIEWS = ("METHOD", "FIELDS", "ROWS", "PARAMETERS", "QUERY")

KINDS = {
    "VIEW": ("VIEW", *OPTIONS_OF_VIEWS, "SHOW", "OPTIONAL", *OF_ALL),
    "BACKEND": ("BACKEND", "OPTIONS", *OF_ALL),
    "MCP": ("MCP", "ONLY", "OVERRIDES", *(key for key in OF_MCP_TOOLS if key != "DESCRIPTION")),
}
"""The key that says what an entry is, and those that it may have then."""

LACKS = ("E024", "E025", "E028")
"""What may be wrong with an optional view: it is not there, or is no view that a model could call."""


MOST_KEPT = 16
_kept: dict[tuple[Any, ...], tuple[Tool | McpServer | ToolProblem, ...]] = {}


def declared_tools(declared: Any) -> tuple[Tool | McpServer | ToolProblem, ...]:
    """A tool, a server or a problem for each entry. Made once for the same entries, URLs and language."""
    key = (repr(declared), get_language(), get_resolver())
    if key not in _kept:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = tuple(_tools(declared))
    return _kept[key]


def _tools(declared: Any) -> Iterator[Tool | McpServer | ToolProblem]:
    if isinstance(declared, str) and declared in READY:
        declared = import_string(READY[declared])
    if not isinstance(declared, Mapping):
        sets = " or ".join(map(repr, READY))
        yield ToolProblem("E023", SETTING, f"it must be a dict from names of tools to dicts, or {sets}.")
        return
    for name, entry in declared.items():
        try:
            yield _tool(str(name), entry)
        except ToolRefused as error:
            yield error.problem


def _tool(name: str, entry: Any) -> Tool | McpServer:
    place = f"{SETTING}[{name!r}]"
    kinds = [kind for kind in KINDS if kind in entry] if isinstance(entry, Mapping) else []
    if len(kinds) != 1:
        raise ToolRefused(ToolProblem("E023", place, "it must be a dict with one of 'VIEW', 'BACKEND' and 'MCP'."))
    _check(place, entry, KINDS[kinds[0]])
    if kinds == ["MCP"]:
        return _server(name, place, entry)
    tool = _view_tool(place, entry) if kinds == ["VIEW"] else _backend_tool(place, entry)
    tool.name = name
    for attribute, value in _attributes(entry, OF_ALL).items():
        setattr(tool, attribute, value)
    return tool


def _check(place: str, entry: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise `ToolRefused` for unknown keys and invalid values."""
    for key, value in entry.items():
        if key not in known:
            similar = get_close_matches(str(key), known, n=1)
            advice = f"Did you mean {similar[0]!r}?" if similar else f"It has {', '.join(known)}."
            raise ToolRefused(ToolProblem("E023", place, f"unknown key {key!r}. {advice}"))
        is_valid, requirement = RULES[key]
        if not is_valid(value):
            raise ToolRefused(ToolProblem("E023", f"{place}[{key!r}]", f"it must be {requirement}."))


def _attributes(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of `Tool` that an entry sets."""
    return {attribute: entry[key] for key, attribute in names.items() if key in entry}


def _server(name: str, place: str, entry: Mapping[str, Any]) -> McpServer:
    overrides = entry.get("OVERRIDES", {})
    for tool, values in overrides.items():
        _check(f"{place}['OVERRIDES'][{tool!r}]", values, tuple(OF_MCP_TOOLS))
    return servers.read(
        name,
        place,
        entry["MCP"],
        only=tuple(entry.get("ONLY", ())),
        attributes=_attributes(entry, OF_MCP_TOOLS),
        overrides={tool: _attributes(values, OF_MCP_TOOLS) for tool, values in overrides.items()},
    )


def _view_tool(place: str, entry: Mapping[str, Any]) -> Tool:
    options = {key.lower(): entry[key] for key in OPTIONS_OF_VIEWS if key in entry}
    show = _imported(f"{place}['SHOW']", lambda: import_string(entry["SHOW"])) if "SHOW" in entry else None
    try:
        tool = ViewTool(entry["VIEW"], place=place, show=show, **options)
    except ToolRefused as error:
        if entry.get("OPTIONAL") and error.problem.check in LACKS:
            raise ToolRefused(replace(error.problem, check="W035")) from error
        raise
    tool.is_optional = entry.get("OPTIONAL", False)
    return tool


def _backend_tool(place: str, entry: Mapping[str, Any]) -> Tool:
    """The tool of a dotted path: an instance of `Tool` is copied, since the entry may change its attributes."""
    path, options = entry["BACKEND"], entry.get("OPTIONS", {})

    def make() -> Any:
        backend = import_string(path)
        made = backend(**options) if inspect.isclass(backend) else copy.copy(backend)
        return FunctionTool(made) if inspect.isfunction(made) else made

    tool = _imported(f"{place}['BACKEND']", make)
    if not isinstance(tool, Tool):
        raise ToolRefused(ToolProblem("E023", f"{place}['BACKEND']", f"{path} is neither a Tool nor a function."))
    return tool


def _imported(place: str, make: Callable[[], Any]) -> Any:
    """What the function makes of a dotted path. Raises `ToolRefused`, whatever that raises."""
    try:
        return make()
    except Exception as error:  # The message of an option's error may have a secret.
        words = str(error) if isinstance(error, (ImportError, TypeError)) else ""
        raise ToolRefused(ToolProblem("E030", place, f"{type(error).__name__} {words}".strip())) from error
