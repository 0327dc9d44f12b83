"""A view of the host as a tool."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rest_framework.permissions import SAFE_METHODS

from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.views.answers import result_of
from waldur_chat.tools.views.authentication import authenticate
from waldur_chat.tools.views.description import describe
from waldur_chat.tools.views.host import call
from waldur_chat.tools.views.parameters import Parameter, schema_of
from waldur_chat.tools.views.request import NOTHING, make_request, placed
from waldur_chat.tools.views.rows import as_rows, summary_of, with_fields

logger = logging.getLogger("waldur_chat.tools")

Show = Callable[[Any], "tuple[str, Mapping[str, Any]]"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROWS = 50


class ViewTool(Tool):
    """Calls the view of a name, as a request of the user would. The view decides what they may see and do.

    `fields` are those of each row that the model gets, by default all; `rows` is how many rows at most. `parameters`
    are the arguments that it is offered besides those that the view requires, by default all; those that the view lacks
    are left out. `query` are parameters with fixed values, which are not offered. `show` makes of the result's data the
    block that the page shows: its key and its fields, an empty key for none. Raises `ToolRefused` if the view cannot be
    a tool.
    """

    needs_request = True
    is_optional = False
    """Whether the site's release may lack the view, or what is named of it."""

    def __init__(
        self,
        view: str,
        method: str = "GET",
        fields: Sequence[str] = (),
        rows: int = ROWS,
        place: str = "",
        *,
        parameters: Sequence[str] = (),
        query: Mapping[str, Any] = NOTHING,
        show: Show | None = None,
    ) -> None:
        self.view, self.method, self.fields, self.rows = view, method, tuple(fields), rows
        self.query, self.show = query, show
        described = describe(view, method, place or view)
        self.parameters, self.target, self.page_size = described.parameters, described.target, described.page_size
        self._answer_fields, self._wanted = described.fields, tuple(parameters)
        self.description, self.schema = described.description, schema_of(dict(self._offered(parameters)))
        self.is_safe = method in SAFE_METHODS

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """Send the request, in this thread. Raises `CallerRefused`, `InvalidArguments` and `PermissionDenied`."""
        if context.caller is None:
            return ToolResult.failed("This needs the request of a user.")
        caller, current = context.caller, context.caller.reload()
        sent = placed(self.parameters, self._with_page_size(arguments), self.query)
        path = {**self.target.fixed_values, **sent.path}
        request = make_request(
            self.view, self.method, replace(sent, path=path), caller.meta, caller.language, caller.urlconf
        )
        request.effects, request.is_atomic = context.effects, self.atomic
        authenticate(request, caller, current, self.target)
        answer = call(request)
        result = result_of(answer)
        if result.outcome != "success":
            return result
        rows = as_rows(result.data, answer.headers, sent.query, self.rows)
        summary = summary_of(rows) or result.summary
        shown = replace(result, summary=summary, data=with_fields(rows, self.fields), advice=self._advice())
        return self._with_block(shown)

    def unknown_names(self) -> dict[str, list[str]]:
        """What the declaration names and the documentation of the view does not have, by key; it is left out."""
        in_query = {one.name for one in self.parameters.values() if one.place == "query"}
        named = {
            "FIELDS": (self.fields, self._answer_fields or self.fields),
            "PARAMETERS": (self._wanted, self.parameters),
            "QUERY": (self.query, in_query or self.query),
        }
        found = {key: [name for name in names if name not in known] for key, (names, known) in named.items()}
        return {key: names for key, names in found.items() if names}

    def _offered(self, names: Sequence[str]) -> Iterator[tuple[str, Parameter]]:
        """The parameters that the model may give, by the names of the arguments."""
        for name, parameter in self.parameters.items():
            is_fixed = parameter.place == "query" and parameter.name in self.query
            if not is_fixed and (not names or name in names or parameter.is_required):
                yield name, parameter

    def _with_block(self, result: ToolResult) -> ToolResult:
        """The result with what the page shows of it. If that cannot be made, the model has its data nevertheless."""
        if self.show is None:
            return result
        try:
            component, fields = self.show(result.data)
        except Exception:
            logger.exception("What the tool %s shows could not be made", self.name)
            return result
        return replace(result, ui_component=component, ui_data=fields) if component else result

    def _with_page_size(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with as many rows as the model gets if the view can be asked for that."""
        if not self.page_size or self.page_size in arguments or self.page_size in self.query:
            return arguments
        return {**arguments, self.page_size: self.rows}

    def _advice(self) -> str:
        offered = self.schema["properties"]
        filters = [name for name in offered if self.parameters[name].place == "query" and name != self.page_size]
        size = f"Ask for fewer with {self.page_size}" if self.page_size in offered else "Ask for fewer"
        return f"{size}, or use {', '.join(filters[:8])}." if filters else f"{size}."
