"""Running a tool: time limits, errors as words, and values that JSON has."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404
from django.utils import translation
from rest_framework import exceptions
from rest_framework.response import Response

from tests.integration.tools.chat_tools import FAILURES, fail
from waldur_chat.tools import Tool, ToolContext, ToolResult, execution, tool
from waldur_chat.tools.caller import CallerRefused
from waldur_chat.tools.execution import run

CONTEXT = ToolContext(user=None, call="c" * 32)
KEY = UUID(int=5)


def result(one: Tool, arguments: str = "", context: ToolContext = CONTEXT) -> ToolResult:
    """What the tool returns."""
    return async_to_sync(run)(one, context, arguments)


def returning(value: Any) -> Tool:
    """A tool that returns this."""

    @tool
    def give() -> Any:
        """Give it."""
        return value

    return give


@pytest.mark.parametrize(
    ("value", "summary", "data"),
    [
        ("words", "words", None),
        ({"day": date(2026, 11, 30), "key": KEY}, "Done.", {"day": "2026-11-30", "key": str(KEY)}),
        (None, "Done.", None),
        ({}, "Done.", {}),
        (ToolResult(summary="s", data=(KEY,)), "s", [str(KEY)]),
    ],
)
def test_a_result_has_values_of_json(value: Any, summary: str, data: Any) -> None:
    found = result(returning(value))
    assert (found.outcome, found.summary, found.data) == ("success", summary, data)


@pytest.mark.parametrize("value", [{"a": object()}, [float("nan")], {KEY: 1}])
def test_what_json_has_not_is_an_error(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert result(returning(value)).error.startswith("Internal error.")
    assert "The tool give failed" in caplog.text


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (ValidationError("Too long."), "validation_error", "Too long."),
        (exceptions.ValidationError({"name": ["Too long.", "Odd."]}), "validation_error", "name: Too long. Odd."),
        (exceptions.NotFound("No project."), "error", "No project."),
        (exceptions.APIException(["a", "b"]), "error", "a b"),
        (PermissionDenied(), "error", "Permission denied."),
        (PermissionDenied("Only on Mondays."), "error", "Only on Mondays."),
        (Http404(), "error", "Not found."),
        (Http404("No such project."), "error", "No such project."),
        (Http404({"tried": ["secret"]}), "error", "Not found."),
        (ObjectDoesNotExist("secret"), "error", "Not found."),
        (CallerRefused("Gone."), "error", "Gone."),
        (RuntimeError("secret"), "error", "Internal error. The call may have had effects before it failed."),
        (StopIteration("secret"), "error", "Internal error. The call may have had effects before it failed."),
        (SystemExit(3), "error", "Internal error. The call may have had effects before it failed."),
    ],
)
def test_what_a_tool_raises_is_told_in_words(error: Exception, outcome: str, words: str) -> None:
    FAILURES["x"] = error
    found = result(fail, '{"kind": "x", "ids": []}')
    assert (found.outcome, found.summary) == (outcome, words)


def answers(data: Any) -> Any:
    """An exception handler of a site that answers with these data; without a response for None."""
    return lambda error, context: None if data is None else Response(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"detail": "Ask Eve."}, "Ask Eve."),
        ({"errors": ["Ask Eve."]}, "errors: Ask Eve."),
        (["Ask Eve."], "Ask Eve."),
        (None, "Permission denied."),
    ],
)
def test_a_refusal_is_told_as_the_sites_exception_handler_words_it(settings: Any, data: Any, words: str) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": answers(data)}
    FAILURES["x"] = PermissionDenied("secret")
    assert result(fail, '{"kind": "x", "ids": []}').error == words


def test_wrong_arguments_call_nothing() -> None:
    assert result(fail, '{"kind": 7, "ids": []}').summary == "kind: 7 is not of type 'string'."
    assert result(fail, '{"kind": "x", "ids": ["y"]}').summary == "ids: ['y'] is not valid."


class Waiting(Tool):
    """Waits in its thread for what does not come before its time is over."""

    name = "wait"
    timeout_seconds = 0.01

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.has_ended = threading.Event()

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> str:
        self.go_on.wait(10)
        self.has_ended.set()
        return "late"


def test_a_tool_that_takes_too_long_is_left_alone() -> None:
    """Here the event loop is closed when its thread ends."""
    one = Waiting()
    assert result(one).error == "It took longer than 0.01 seconds. It may still have had its effect."
    one.go_on.set()
    assert one.has_ended.wait(10)
    _join()


def test_what_comes_too_late_is_dropped() -> None:
    """Here the event loop goes on."""
    one = Waiting()

    async def scene() -> ToolResult:
        found = await run(one, CONTEXT, "")
        one.go_on.set()
        await asyncio.get_running_loop().run_in_executor(None, _join)
        await asyncio.sleep(0)
        return found

    assert async_to_sync(scene)().outcome == "error"


def _join() -> None:
    for thread in threading.enumerate():
        if thread.name == "waldur-chat-tool":
            thread.join(10)


def test_a_process_has_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(execution, "_places", lambda: places)
    assert result(returning("first")).summary == "first"
    _join()
    with places:
        assert result(returning("second")).error == "Too many calls are running. Try again in a moment."
    assert result(returning("third")).summary == "third"


def test_a_coroutine_has_the_same_limit(settings: Any) -> None:
    @tool
    async def wait() -> None:
        """Wait for nothing."""
        await asyncio.Event().wait()

    settings.WALDUR_CHAT = {"TOOL_SECONDS": 0.01}
    assert result(wait).error.startswith("It took longer than 0.01 seconds.")


def test_it_runs_in_the_users_language() -> None:
    @tool
    def language() -> str:
        """Say which."""
        return str(translation.get_language())

    assert result(language, context=ToolContext(user=None, language="et")).summary == "et"
    with translation.override("fi"):  # In a new thread, the site's is active.
        assert result(language).summary == "en-us"


@pytest.mark.django_db(transaction=True)
def test_it_asks_the_database_by_a_connection_of_its_own() -> None:
    @tool
    def count() -> str:
        """Count users."""
        assert connection.connection is None
        return str(get_user_model().objects.count())

    get_user_model().objects.create(username="a")
    assert result(count).summary == "1"


def test_each_call_has_a_line_in_the_log_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "waldur_chat.tools")
    result(returning({"secret": 1}), '{"secret": 2}')
    (record,) = caplog.records
    assert record.getMessage().startswith("Tool give: validation_error in 0.0")
    assert record.call == {"tool": "give", "outcome": "validation_error", "user": "", "call": "c" * 32} | {
        "seconds": record.call["seconds"]
    }
    assert "secret" not in str(vars(record))
