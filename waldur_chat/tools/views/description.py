"""What a view is as a tool: its description, schema and parameters; or why it cannot be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils import translation

from waldur_chat.tools.problems import ToolProblem, ToolRefused
from waldur_chat.tools.views.answer_fields import answer_fields
from waldur_chat.tools.views.operation import Operation, operation_of
from waldur_chat.tools.views.parameters import Parameter, is_json, parameters_of, schema_of, takes_json
from waldur_chat.tools.views.target import ViewTarget, targets_of

LENGTH = 1000
"""Most characters of a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewDescription:
    """A view as a tool. `page_size` is the query parameter for the number of rows, empty for none.

    `fields` are those of the answer or of its rows, empty if they are not documented.
    """

    target: ViewTarget
    description: str
    schema: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    page_size: str
    fields: frozenset[str]


def describe(view: str, method: str, place: str) -> ViewDescription:
    """Describe the view. Raises `ToolRefused`, which names the place of the declaration."""
    described = _describe(_target(view, method, place), method, translation.get_language())
    if isinstance(described, ViewDescription):
        return described
    check, words = described
    raise ToolRefused(ToolProblem(check, place, f"the view {view!r} {words}"))


@lru_cache(maxsize=512)
def _describe(target: ViewTarget, method: str, language: str | None) -> ViewDescription | tuple[str, str]:  # noqa: ARG001
    """The description in a language; the check and the words if there is none. Kept, since each turn asks for it."""
    try:
        operation = operation_of(target, method)
    except Exception as error:
        return "E025", f"has no schema: {type(error).__name__}: {error}"
    if operation is None:
        return "E025", "is left out of the documents of the site (extend_schema(exclude=True))."
    if words := _unreadable(operation):
        return "E028", words
    parameters = parameters_of(operation)
    return ViewDescription(
        target=target,
        description=_words(operation, target, method),
        schema=schema_of(parameters),
        parameters=parameters,
        page_size=_page_size(operation.view, parameters),
        fields=answer_fields(operation),
    )


def _target(view: str, method: str, place: str) -> ViewTarget:
    targets = targets_of(view)
    if not targets:
        raise ToolRefused(ToolProblem("E024", place, f"no URL of the site has the name {view!r}."))
    if any(target.is_ours for target in targets):
        raise ToolRefused(ToolProblem("E027", place, f"{view!r} is a view of the chat itself."))
    if targets[0].view_class is None:
        raise ToolRefused(ToolProblem("E025", place, f"{view!r} is no view of Django REST framework."))
    found = next((target for target in targets if target.takes(method)), None)
    if found is None:
        raise ToolRefused(ToolProblem("E024", place, f"the view {view!r} does not take {method}."))
    return found


def _unreadable(operation: Operation) -> str:
    """Why a model could not read the answers, or make the body; empty if it can."""
    if not takes_json(operation):
        return "takes no JSON, but files or forms."
    kinds = [renderer.media_type or "" for renderer in operation.view.renderer_classes]
    if not any(map(is_json, kinds)):
        return f"gives no JSON, but {', '.join(kinds)}."
    answers = [answer for status, answer in operation.described.get("responses", {}).items() if status[:1] == "2"]
    contents = [inner for answer in answers for inner in answer.get("content", {}).items()]
    if contents and not any(is_json(kind) and not _is_file(inner) for kind, inner in contents):
        return f"gives no JSON, but {', '.join(kind for kind, _ in contents)}: a stream, a file or a page."
    return ""


def _is_file(content: Mapping[str, Any]) -> bool:
    return bool(content.get("schema", {}).get("format") == "binary")


def _words(operation: Operation, target: ViewTarget, method: str) -> str:
    """Summary and description, with the action: those of one viewset may have the same words."""
    described = operation.described
    parts = (str(described.get(name, "")).strip().rstrip(".") for name in ("summary", "description"))
    words = " ".join(". ".join(part for part in parts if part).split())
    action = getattr(operation.view, "action", None) or method
    return f"{words[:LENGTH]}. ({action})" if words else f"{method} {target.path}"


def _page_size(view: Any, parameters: Mapping[str, Parameter]) -> str:
    """The parameter that the view's pagination has for the number of rows."""
    pagination = getattr(view, "pagination_class", None)
    names = (getattr(pagination, name, None) for name in ("page_size_query_param", "limit_query_param"))
    return next((name for name in names if name and name in parameters), "")
