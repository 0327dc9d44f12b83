"""Run a tool: arguments, time limit, a thread of its own, and errors as words."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import translation
from rest_framework.exceptions import APIException

from waldur_chat import conf
from waldur_chat.metrics import observer
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.loop import background_loop
from waldur_chat.runtime.own_thread import run_in_own_thread
from waldur_chat.runtime.tenants import within
from waldur_chat.store import sql
from waldur_chat.store.turns.tool_calls import storable
from waldur_chat.tools import failures
from waldur_chat.tools.arguments import InvalidArguments, parse
from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.results import ToolResult

logger = logging.getLogger("waldur_chat.tools")

T = TypeVar("T")

MOST_THREADS = 200
"""Calls that may have a thread in one process, those past their time limit too."""

_places = PerProcess(lambda: threading.BoundedSemaphore(MOST_THREADS))


class TooManyCalls(APIException):
    """The process has as many calls as it may have."""

    default_detail = "Too many calls are running. Try again in a moment."


async def run(tool: Tool, context: ToolContext, arguments: str) -> ToolResult:
    """Call the tool with arguments as JSON text. Raises nothing but `CancelledError`.

    A thread that is past its time limit cannot be ended: what it returns is dropped.
    """
    began = monotonic()
    try:
        result = await _run(tool, context, parse(tool.schema, arguments))
    except InvalidArguments as error:
        result = ToolResult.invalid(str(error))
    executed(tool, context, result, monotonic() - began)
    return result


def run_blocking(tool: Tool, context: ToolContext, arguments: str) -> ToolResult:
    """Call the tool, and wait in this thread, which no event loop may use."""
    return asyncio.run_coroutine_threadsafe(run(tool, context, arguments), background_loop()).result()


def executed(tool: Tool, context: ToolContext, result: ToolResult, seconds: float) -> None:
    """Told of every call with its result. It logs neither arguments nor data, which are the user's."""
    fields = {
        "tool": tool.name,
        "outcome": result.outcome,
        "seconds": round(seconds, 3),
        "user": str(getattr(context.user, "pk", "") or ""),
        "call": context.call,
    }
    observer().tool_called(tool.name, result.outcome, seconds)
    logger.info("Tool %(tool)s: %(outcome)s in %(seconds).3f s", fields, extra={"call": fields})


async def _run(tool: Tool, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
    seconds = tool.timeout_seconds or float(conf.site_value("TOOL_SECONDS"))
    try:
        return await asyncio.wait_for(_called(tool, context, arguments), seconds)
    except asyncio.TimeoutError:
        return ToolResult.failed(failures.TOO_SLOW.format(seconds=seconds))
    except Exception as error:
        return failures.as_result(error, tool.name)


async def _called(tool: Tool, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
    if inspect.iscoroutinefunction(tool.execute):
        current = await _in_thread(context, lambda: _noted(_current(tool, context)))
        return _as_result(await tool.execute(current, arguments))
    return await _in_thread(context, lambda: _traced(tool, context, arguments))


def _noted(context: ToolContext) -> ToolContext:
    """Note that an asynchronous tool may write: its statements run in threads of others."""
    if context.effects:
        context.effects.may_write()
    return context


def _traced(tool: Tool, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
    """What the tool returns; its row notes what it does. The chain of the host does that for a view."""
    current, effects = _current(tool, context), context.effects
    if effects is None or tool.needs_request:
        return _as_result(tool.execute(current, arguments))
    in_transaction = transaction.atomic(using=sql.database().alias) if tool.atomic else nullcontext()
    with in_transaction, effects.traced():
        result = _as_result(tool.execute(current, arguments))
        if tool.atomic and result.outcome == "success":
            effects.done()
    return result


def _current(tool: Tool, context: ToolContext) -> ToolContext:
    """The context with the user as they are now. A tool that needs the request reads them itself."""
    if context.caller is None or tool.needs_request:
        return context
    return replace(context, user=context.caller.reload().user)


async def _in_thread(context: ToolContext, function: Callable[[], T]) -> T:
    """What the function returns, from a thread of its own without the asker's context.

    In the thread of the asker, the host's middleware would clear what it keeps there for the asker's own request.
    """
    places = _places()
    if not places.acquire(blocking=False):
        raise TooManyCalls
    return await run_in_own_thread("waldur-chat-tool", lambda: _within(context, function), places)


def _within(context: ToolContext, function: Callable[[], T]) -> T:
    """Call it in the user's language and the tenant's schema."""
    with within(context.tenant), translation.override(context.language or translation.get_language()):
        return function()


def _as_result(value: Any) -> ToolResult:
    """What a tool returned as a result with JSON values only: times, UUIDs and decimal numbers become strings."""
    result = value if isinstance(value, ToolResult) else _result_of(value)
    summary, error = storable(result.summary), storable(result.error)
    return replace(result, summary=summary, error=error, data=_plain(result.data), ui_data=_plain(result.ui_data))


def _result_of(value: Any) -> ToolResult:
    return ToolResult(summary=value) if isinstance(value, str) else ToolResult(summary="Done.", data=value)


def _plain(value: Any) -> Any:
    """The value as JSON has it. Raises `TypeError` or `ValueError` if it cannot be written as JSON."""
    if value is None or (isinstance(value, Mapping) and not value):
        return value
    return storable(json.loads(json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False)))
