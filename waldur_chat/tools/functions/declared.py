"""Functions as tools: type hints and docstring become the schema and the description."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints, overload

from waldur_chat.schemas.type_hints import Hint, read
from waldur_chat.tools.arguments import InvalidArguments
from waldur_chat.tools.base import Approval, Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.problems import ToolProblem

CONTEXT = "context"
"""The name of the parameter that is the `ToolContext`; a function may have none."""


class FunctionTool(Tool):
    """A tool that calls a function with its arguments by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = function.__name__
        documentation = inspect.getdoc(function) or ""
        self.description, about = _sections(documentation)
        self._takes_context, self._hints = _parameters(function)
        self.schema = _schema(function, self._hints, about)
        self.execute = self._run_async if inspect.iscoroutinefunction(function) else self._run  # type: ignore[method-assign]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function itself, as if it were no tool."""
        return self.function(*arguments, **named)

    def _run(self, context: ToolContext, arguments: dict[str, Any]) -> Any:
        return self.function(**self._converted(context, arguments))

    async def _run_async(self, context: ToolContext, arguments: dict[str, Any]) -> Any:
        return await self.function(**self._converted(context, arguments))

    def _converted(self, context: ToolContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {CONTEXT: context} if self._takes_context else {}
        for name, value in arguments.items():
            try:
                values[name] = self._hints[name].convert(value)
            except (ArithmeticError, TypeError, ValueError) as error:
                raise InvalidArguments(f"{name}: {value!r} is not valid.") from error
        return values


class UnusableFunction(FunctionTool):
    """A function that cannot be a tool, which can still be called as a function. It is left out; `problem` says why."""

    def __init__(self, function: Callable[..., Any], error: Exception) -> None:
        self.function = function
        self.problem = ToolProblem(
            "E030",
            f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}",
            f"it cannot be a tool: {type(error).__name__}: {error}",
        )


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    safe: bool = False,
    approval: Approval | None = None,
    outward: bool = False,
    trusted: bool = False,
    atomic: bool = False,
    roles: str = "all",
    seconds: float | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function. `safe=True` says that it changes nothing; see `Tool` for the others.

    It raises nothing, so that a mistake in one function leaves out that one, and not its whole module: a parameter
    whose type has no JSON Schema, or an unknown option, makes an `UnusableFunction`.
    """
    return partial(_declared, options) if function is None else _declared(options, function)


NAMES = {"safe": "is_safe", "seconds": "timeout_seconds"}


def _declared(options: Mapping[str, Any], function: Callable[..., Any]) -> FunctionTool:
    try:
        return _made(options, function)
    except Exception as error:  # Type hints are evaluated: they may raise anything.
        return UnusableFunction(function, error)


def _made(options: Mapping[str, Any], function: Callable[..., Any]) -> FunctionTool:
    made = FunctionTool(function)
    for option, value in options.items():
        attribute = NAMES.get(option, option)
        if not hasattr(Tool, attribute):
            raise TypeError(f"tool() has no option {option!r}.")
        if value or attribute not in ("name", "description"):
            setattr(made, attribute, value)
    return made


def _parameters(function: Callable[..., Any]) -> tuple[bool, dict[str, Hint]]:
    """Whether the function takes the context, and the hints of its other parameters."""
    hints = get_type_hints(function, include_extras=True)
    names = list(inspect.signature(function).parameters)
    missing = [name for name in names if name != CONTEXT and name not in hints]
    if missing:
        raise TypeError(f"{function.__name__}(): the parameter {missing[0]!r} has no type.")
    return CONTEXT in names, {name: read(hints[name]) for name in names if name != CONTEXT}


def _schema(function: Callable[..., Any], hints: Mapping[str, Hint], about: Mapping[str, str]) -> dict[str, Any]:
    """The JSON Schema of the arguments."""
    parameters = inspect.signature(function).parameters
    described = {name: {"description": about[name]} if name in about else {} for name in hints}
    return {
        "type": "object",
        "properties": {name: {**described[name], **hint.schema} for name, hint in hints.items()},
        "required": [name for name in hints if parameters[name].default is inspect.Parameter.empty],
        "additionalProperties": False,
    }


def _sections(documentation: str) -> tuple[str, dict[str, str]]:
    """The text of a docstring, and what it says of parameters: `:param name: ...`, or lines below `Args:`."""
    text, _, rest = re.sub(r"(?m)^(Args|Arguments|Parameters):\s*$", "\0", documentation, count=1).partition("\0")
    about = dict(re.findall(r"(?m)^[ \t]+(\w+)(?: \([^)]*\))?:[ \t]*(.+)$", rest))
    about |= dict(re.findall(r"(?m)^:param (?:\w+ )?(\w+):[ \t]*(.+)$", documentation))
    return re.sub(r"(?ms)^:\w+.*", "", text).strip(), about
