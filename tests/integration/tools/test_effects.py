"""What a call has done, and what its row says of it, in one transaction."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse

from tests.integration.chatting import until
from tests.integration.stored import thread_of, turn_in
from tests.integration.tools.conftest import ALICE_BY_TOKEN
from tests.projects.models import Project
from waldur_chat.models import Message, ToolCall, ToolTrace, Turn
from waldur_chat.store.turns import finish, tool_calls
from waldur_chat.store.turns.tool_calls import NOT_WRITTEN, STILL_RUNNING, WRITTEN, EndedCall
from waldur_chat.tools import Tool, ToolContext, execution, tool
from waldur_chat.tools.effects import Effects
from waldur_chat.tools.views.host import HostChain
from waldur_chat.tools.views.view_tool import ViewTool

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(transactional_db: None) -> ToolCall:
    """A call that runs, of a turn that runs."""
    user = get_user_model().objects.create_user("carol")
    thread = thread_of(user, "Hi")
    turn = turn_in(thread, user=user, answer_index=1, tool_events=1)
    return ToolCall.objects.create(tool="x", user=user, thread=thread, turn=turn, status="running")


def run(row: ToolCall, one: Tool, arguments: str = "{}", caller: Any = None) -> Any:
    """What the tool returns, whose call is this one."""
    context = ToolContext(user=row.user, caller=caller, thread="x", call=row.uuid.hex, effects=Effects(row.uuid))
    return async_to_sync(execution.run)(one, context, arguments)


def end(row: ToolCall, status: str) -> ToolCall:
    """The row after the end of its turn."""
    assert row.turn
    outcome = finish.TurnOutcome(status=status, reason="stop" if status == "finished" else "")
    finish.finish_turn(row.turn.uuid.hex, outcome)
    row.refresh_from_db()
    return row


def rename(name: str, *, fails: bool = False) -> None:
    get_user_model().objects.update(first_name=name)
    if fails:
        raise ValueError


def names() -> set[str]:
    return set(get_user_model().objects.values_list("first_name", flat=True))


@pytest.mark.parametrize("fails", [False, True])
def test_a_write_leaves_a_trace(row: ToolCall, fails: bool) -> None:
    run(row, tool(lambda_tool(lambda: rename("b", fails=fails))))
    assert ToolTrace.objects.filter(call=row.uuid).exists()
    assert end(row, "interrupted").summary == WRITTEN
    assert (row.status, row.is_touched, names()) == ("unknown", True, {"b"})
    assert not ToolTrace.objects.exists()


def lambda_tool(act: Any) -> Any:
    def act_of_tool() -> str:
        """Acts."""
        act()
        return "ok"

    return act_of_tool


def test_what_is_rolled_back_leaves_none(row: ToolCall) -> None:
    def act() -> None:
        with transaction.atomic():
            rename("b")
            transaction.set_rollback(True)
        get_user_model().objects.count()

    run(row, tool(lambda_tool(act)))
    assert end(row, "interrupted").summary == NOT_WRITTEN
    assert not row.is_touched


def test_a_transaction_of_the_tool_works_as_without_traces(row: ToolCall) -> None:
    def act() -> None:
        with transaction.atomic(durable=True):
            try:
                with transaction.atomic():
                    get_user_model().objects.create(username="carol")
            except IntegrityError:
                rename("caught")

    assert run(row, tool(lambda_tool(act))).outcome == "success"
    assert names() == {"caught"}


def test_the_end_removes_traces(row: ToolCall) -> None:
    run(row, tool(lambda_tool(lambda: rename("b"))))
    assert row.turn
    tool_calls.end(row.turn.uuid.hex, row.uuid, EndedCall(status="done", summary="ok", is_traced=True))
    assert not ToolTrace.objects.exists()


def test_what_writes_after_the_end_is_noted(row: ToolCall) -> None:
    assert end(row, "cancelled").summary == STILL_RUNNING
    run(row, tool(lambda_tool(lambda: rename("b"))))
    row.refresh_from_db()
    assert (row.status, row.summary, row.is_touched) == ("unknown", WRITTEN, True)


def test_an_asynchronous_tool_may_have_written(row: ToolCall) -> None:
    @tool
    async def act() -> str:
        """Acts."""
        await asyncio.sleep(0)
        return "ok"

    run(row, act)
    assert end(row, "interrupted").is_touched


def test_a_call_that_ends_after_its_time_is_unknown(row: ToolCall) -> None:
    may_end = threading.Event()

    @tool(seconds=0.01)
    def act() -> str:
        """Acts."""
        may_end.wait(10)
        return "ok"

    assert "longer" in run(row, act).error
    assert row.turn
    tool_calls.end(row.turn.uuid.hex, row.uuid, EndedCall(status="failed", summary="Too slow."))
    finish.finish_turn(row.turn.uuid.hex, finish.TurnOutcome(status="finished", reason="stop", text="Sorry."))
    may_end.set()
    until(lambda: _shown_outcome() == "unknown")
    assert ToolCall.objects.get().status == "unknown"


def _shown_outcome() -> Any:
    """What the stored answer says of its call."""
    blocks = Message.objects.get(role="assistant").blocks or []
    return next(block["tool"]["outcome"] for block in blocks if block["key"] == "tool")


def test_a_call_that_writes_after_its_time_is_unknown_and_has_written(row: ToolCall) -> None:
    may_end = threading.Event()

    @tool(seconds=0.01)
    def act() -> str:
        """Acts."""
        may_end.wait(10)
        rename("late")
        return "ok"

    run(row, act)
    ToolCall.objects.update(status="failed")
    may_end.set()
    until(lambda: ToolCall.objects.get().status == "unknown" and ToolCall.objects.get().is_touched)
    assert not ToolTrace.objects.exists()


def test_a_failure_that_has_written_says_so(row: ToolCall) -> None:
    run(row, tool(lambda_tool(lambda: rename("b", fails=True))))
    assert row.turn
    tool_calls.end(row.turn.uuid.hex, row.uuid, EndedCall(status="failed", summary="no", is_traced=True))
    row.refresh_from_db()
    assert (row.status, row.is_touched) == ("failed", True)


class TestAtomic:
    """The tool and its row commit together."""

    def test_the_call_is_done_with_its_writes(self, row: ToolCall) -> None:
        run(row, tool(atomic=True)(lambda_tool(lambda: rename("b"))))
        row.refresh_from_db()
        assert (row.status, names()) == ("done", {"b"})
        assert not ToolTrace.objects.exists()

    def test_its_result_is_added(self, row: ToolCall) -> None:
        run(row, tool(atomic=True)(lambda_tool(lambda: None)))
        assert row.turn
        ended = EndedCall(status="done", summary="Yes.", result="Yes.")
        assert tool_calls.end(row.turn.uuid.hex, row.uuid, ended)
        row.refresh_from_db()
        assert (row.status, row.result) == ("done", "Yes.")

    @pytest.mark.parametrize("status", ["failed", "unknown"])
    def test_what_was_given_up_is_rolled_back(self, row: ToolCall, status: str) -> None:
        ToolCall.objects.update(status=status)
        result = run(row, tool(atomic=True)(lambda_tool(lambda: rename("b"))))
        assert "rolled back" in result.error
        assert names() == {""}

    def test_a_failure_is_rolled_back(self, row: ToolCall) -> None:
        run(row, tool(atomic=True)(lambda_tool(lambda: rename("b", fails=True))))
        row.refresh_from_db()
        assert (row.status, names()) == ("running", {""})

    def test_a_result_that_is_a_failure_is_not_done(self, row: ToolCall) -> None:
        class Failing(Tool):
            atomic = True

            def execute(self, context: ToolContext, arguments: Any) -> Any:
                return execution.ToolResult.failed("No.")

        run(row, Failing())
        row.refresh_from_db()
        assert row.status == "running"

    def test_a_result_that_is_a_failure_leaves_traces_of_its_writes(self, row: ToolCall) -> None:
        class Failing(Tool):
            atomic = True

            def execute(self, context: ToolContext, arguments: Any) -> Any:
                rename("b")
                return execution.ToolResult.failed("No.")

        run(row, Failing())
        assert (names(), end(row, "interrupted").summary) == ({"b"}, WRITTEN)


class TestViews:
    """Views of the host, which commit as they do over HTTP."""

    @pytest.fixture
    def view(self, projects: None) -> ViewTool:
        return ViewTool("project-detail", "PATCH")

    @staticmethod
    def change(row: ToolCall, view: ViewTool, budget: int = 1) -> Any:
        arguments = f'{{"id": 1, "name": "new", "budget": {budget}}}'
        return run(row, view, arguments, ALICE_BY_TOKEN.caller())

    def test_a_view_leaves_traces(self, row: ToolCall, view: ViewTool) -> None:
        assert self.change(row, view).outcome == "success"
        row.refresh_from_db()
        assert (row.status, ToolTrace.objects.filter(call=row.uuid).exists()) == ("running", True)

    def test_in_a_transaction_of_django_it_is_done(self, row: ToolCall, view: ViewTool, atomic_requests: None) -> None:
        assert self.change(row, view).outcome == "success"
        row.refresh_from_db()
        assert (row.status, Project.objects.filter(name="new").count()) == ("done", 1)

    def test_with_atomic_it_is_done(self, row: ToolCall, view: ViewTool) -> None:
        view.atomic = True
        self.change(row, view)
        row.refresh_from_db()
        assert row.status == "done"

    def test_a_refusal_of_the_view_is_not(self, row: ToolCall, view: ViewTool, atomic_requests: None) -> None:
        assert self.change(row, view, 2000).outcome == "validation_error"
        row.refresh_from_db()
        assert row.status == "running"

    def test_what_was_given_up_is_rolled_back(self, row: ToolCall, view: ViewTool, atomic_requests: None) -> None:
        ToolCall.objects.update(status="failed")
        assert self.change(row, view).outcome == "error"
        assert not Project.objects.filter(name="new").exists()


def test_a_trace_has_a_name(row: ToolCall) -> None:
    assert str(ToolTrace(call=row.uuid)) == row.uuid.hex


def test_writes_elsewhere_are_noted_too(row: ToolCall) -> None:
    """In another database, or in a transaction that a view commits itself."""
    effects = Effects(uuid4())
    for context in ({"connection": FakeConnection("other")}, {"connection": FakeConnection(connection.alias)}):
        assert effects._trace(lambda *args: "done", "UPDATE t SET a = 1", (), False, context) == "done"
    assert effects._trace(lambda *args: "read", "SELECT 1", (), False, {"connection": connection}) == "read"
    assert ToolTrace.objects.count() == 2
    assert Turn.objects.count() == 1


@pytest.mark.parametrize(
    ("statement", "marks"),
    [
        ("  -- a comment\n/* another */ (UPDATE t SET a = 1)", 1),
        (b"DELETE FROM t", 1),
        (SimpleNamespace(as_string=lambda connection: "INSERT INTO t VALUES (1)"), 1),
        (SimpleNamespace(as_string=lambda connection: "SELECT 1"), 0),
        ("/* UPDATE */ SELECT 1", 0),
    ],
)
def test_whatever_the_driver_takes_as_a_statement_is_understood(db: None, statement: Any, marks: int) -> None:
    effects = Effects(uuid4())
    assert effects._trace(lambda *args: args[0], statement, (), False, {"connection": connection}) is statement
    assert ToolTrace.objects.count() == marks


class FakeConnection:
    """In a transaction that the view commits itself, or another database with a write at a time."""

    in_atomic_block = False
    vendor = "postgresql"

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def get_autocommit(self) -> bool:
        return self.alias != connection.alias


class TestViewsOfOtherKinds:
    """Views that are no functions of DRF, as the host's chain calls them."""

    def test_an_asynchronous_view_is_called_and_leaves_a_trace(self, row: ToolCall) -> None:
        async def view(request: Any) -> HttpResponse:
            await sync_to_async(rename)("Ada")
            return HttpResponse("renamed")

        response = HostChain().make_view_atomic(view)(SimpleNamespace(effects=Effects(row.uuid)))
        assert (response.content, names()) == (b"renamed", {"Ada"})
        assert end(row, "interrupted").summary == WRITTEN

    @pytest.mark.parametrize(("status", "becomes"), [(200, "done"), (409, "running")])
    def test_an_answer_that_need_not_be_rendered_ends_the_call_too(
        self, row: ToolCall, status: int, becomes: str
    ) -> None:
        def view(request: Any) -> HttpResponse:
            rename("Ada")
            return HttpResponse("renamed", status=status)

        HostChain().make_view_atomic(view)(SimpleNamespace(effects=Effects(row.uuid), is_atomic=True))
        row.refresh_from_db()
        assert (row.status, names()) == (becomes, {"Ada"})

    def test_a_refusal_that_commits_leaves_a_trace(self, row: ToolCall) -> None:
        def view(request: Any) -> HttpResponse:
            rename("Ada")
            return HttpResponse("renamed", status=409)

        HostChain().make_view_atomic(view)(SimpleNamespace(effects=Effects(row.uuid), is_atomic=True))
        assert (names(), end(row, "interrupted").summary) == ({"Ada"}, WRITTEN)

    def test_a_refusal_that_is_rolled_back_leaves_none(self, row: ToolCall) -> None:
        def view(request: Any) -> HttpResponse:
            rename("Ada")
            transaction.set_rollback(True)
            return HttpResponse("renamed", status=400)

        HostChain().make_view_atomic(view)(SimpleNamespace(effects=Effects(row.uuid), is_atomic=True))
        assert (names(), end(row, "interrupted").summary) == ({""}, NOT_WRITTEN)
