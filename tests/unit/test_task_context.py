"""A task that outlives its request takes nothing of it along but the language and the trace."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.utils.translation import get_language, override

from tests.unit.aio import run
from waldur_chat.runtime import task_context

trace: ContextVar[str] = ContextVar("trace", default="none")
other: ContextVar[str] = ContextVar("other", default="none")


def test_what_it_awaits_after_the_request_works() -> None:
    async def later(go_on: asyncio.Event) -> str:
        await go_on.wait()
        return await sync_to_async(get_language)()

    async def main() -> str:
        go_on = asyncio.Event()
        async with ThreadSensitiveContext():
            with override("et"):
                context = task_context.detached()()
            task = context.run(asyncio.create_task, later(go_on))
        go_on.set()
        return await task

    assert run(main()) == "et"


def test_nothing_else_of_the_request_is_taken_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)
    other.set("the request's")
    trace.set("the request's")
    context = task_context.detached()()
    assert (context.run(other.get), context.run(trace.get)) == ("none", "none")


def test_the_trace_is_where_opentelemetry_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = SimpleNamespace(attach=trace.set, get_current=trace.get)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", library)
    trace.set("the request's")
    assert task_context.detached()().run(trace.get) == "the request's"


def test_where_no_language_is_active_there_is_the_site_s(settings: Any) -> None:
    with override(None):
        assert get_language() is None
        make = task_context.detached()
    assert make().run(get_language) == settings.LANGUAGE_CODE
