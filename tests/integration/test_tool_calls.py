"""Calls of tools are rows: changed once, told to readers of other processes, part of the stored answer."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model

from tests.integration.dying import end_dead
from tests.integration.stored import client_of, thread_of, turn_in
from waldur_chat.errors import TurnNotFound
from waldur_chat.events import CallRequested, Delta, Finished, ToolAnswered, ToolCalled, Usage
from waldur_chat.models import Message, Thread, ToolCall, Turn
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.conversations import deletion, export
from waldur_chat.store.turns import finish, partials, replays, tool_calls
from waldur_chat.store.turns.calls import shown_calls
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.store.turns.tool_calls import EndedCall, NewCall
from waldur_chat.turns.resume import TurnSubscription

pytestmark = [pytest.mark.core, pytest.mark.django_db(transaction=True)]

DONE = EndedCall(status="done", summary="1 project", result='[{"name": "Alpha"}]')
LATER = datetime(2999, 1, 1, tzinfo=timezone.utc)
NASTY = "a\0b\ud800c"


def request(number: int = 1, **fields: Any) -> CallRequested:
    return CallRequested(id=f"call{number:05}", name="project-list", **fields)


def new(number: int = 1, **arguments: Any) -> NewCall:
    return NewCall(uuid=uuid4(), request=request(number), arguments=arguments)


@pytest.fixture
def running(user: Any) -> Turn:
    """A turn that runs, with its question."""
    thread = thread_of(user, "Which projects?")
    turn = turn_in(thread, user=user, answer_index=1, question=Message.objects.get(), is_new_question=True)
    Turn.objects.filter(pk=turn.pk).update(expires=turn.expires.replace(year=turn.expires.year + 1))
    return turn


def begun(turn: Turn, *calls: NewCall, round_number: int = 0, position: int = 0) -> UUID:
    """Begin calls, one if none is given; return the id of the first one."""
    calls = calls or (new(),)
    tool_calls.add(turn.uuid.hex, round_number, position, calls)
    return calls[0].uuid


def finished(turn: Turn, text: str, **fields: Any) -> Message:
    """The answer of the turn that ends with this text."""
    usage = Usage(input_tokens=1, output_tokens=1)
    stored = finish.finish_turn(turn.uuid.hex, TurnOutcome(status="finished", text=text, usage=usage, **fields))
    assert stored
    return Message.objects.get(uuid=stored.answer)


def test_a_call_is_stored_with_what_identifies_it(running: Turn) -> None:
    uuid = begun(running, NewCall(uuid=uuid4(), request=request(extra={"s": NASTY}), arguments={"b": 1, "a": "é"}))
    call = ToolCall.objects.get(uuid=uuid)
    assert (call.user_id, call.thread_id, call.status) == (running.user_id, running.thread_id, "running")
    assert call.arguments == '{"a":"\\u00e9","b":1}'
    assert len(call.arguments_hash) == 64
    assert call.extra == {"s": "a\ufffdb\ufffdc"}


def test_calls_are_numbered_over_all_rounds(running: Turn) -> None:
    begun(running, new(1), new(2))
    begun(running, new(3), round_number=1)
    assert list(ToolCall.objects.order_by("pk").values_list("round_number", "number")) == [(0, 0), (0, 1), (1, 2)]


def test_a_call_ends_once(running: Turn) -> None:
    uuid = begun(running)
    failed = EndedCall(status="failed", summary="late")
    assert [tool_calls.end(running.uuid.hex, uuid, one) for one in (DONE, failed)] == [True, False]
    call = ToolCall.objects.get()
    assert (call.status, call.summary, call.result) == ("done", DONE.summary, DONE.result)
    assert call.ended


def test_results_that_a_database_refuses_are_made_storable(running: Turn) -> None:
    uuid = begun(running)
    ui_data = {NASTY: [NASTY, 1, None, (True,)]}
    tool_calls.end(running.uuid.hex, uuid, EndedCall(status="done", summary=NASTY, result=NASTY, ui_data=ui_data))
    call = ToolCall.objects.get()
    clean = "a\ufffdb\ufffdc"
    assert (call.summary, call.result, call.ui_data) == (clean, clean, {clean: [clean, 1, None, [True]]})


@pytest.mark.parametrize("is_deleted", [True, False])
def test_nothing_is_called_for_a_turn_that_has_ended(running: Turn, is_deleted: bool) -> None:
    if is_deleted:
        deletion.delete(running.thread)
    else:
        finished(running, "Bye.")
    with pytest.raises(TurnNotFound):
        begun(running)
    assert not ToolCall.objects.exists()


def test_the_answer_has_the_calls_between_its_text(running: Turn) -> None:
    uuid = begun(running, new(name="A"), position=3)
    tool_calls.end(running.uuid.hex, uuid, DONE)
    answer = finished(running, "Hm.\n\nOne.")
    assert [block["key"] for block in answer.blocks] == ["markdown", "tool", "markdown"]
    assert [block["id"] for block in answer.blocks] == ["0", "1", "2"]
    assert answer.blocks[1]["position"] == 3
    assert answer.blocks[1]["tool"] == {
        "call_id": "call00001",
        "call_uuid": uuid.hex,
        "name": "project-list",
        "arguments": {"name": "A"},
        "summary": "1 project",
        "outcome": "done",
    }
    assert answer.blocks[1]["result"] == {"id": "0", "key": "markdown", "status": "complete", "content": ""}


def test_what_a_page_shows_of_a_result_is_its_block(running: Turn) -> None:
    shown = EndedCall(status="done", ui_component="resource_list", ui_data={"state": ["OK"]})
    tool_calls.end(running.uuid.hex, begun(running), shown)
    result = finished(running, "a").blocks[0]["result"]
    assert (result["key"], result["state"]) == ("resource_list", ["OK"])


@pytest.mark.parametrize(("expires", "shown"), [(None, None), (LATER, "2999-01-01T00:00:00+00:00")])
def test_a_call_that_waits_says_so_in_its_block(running: Turn, expires: datetime | None, shown: str | None) -> None:
    begun(running, NewCall(uuid=uuid4(), request=request(), arguments={}, status="waiting"))
    ToolCall.objects.update(expires=expires)
    tool = shown_calls.blocks_of("a", 0, ToolCall.objects.all())[0]["tool"]
    assert (tool["outcome"], tool["approval"], tool["expires"]) == (None, "needed", shown)


def test_positions_are_those_of_the_stream_which_thoughts_have_begun(running: Turn) -> None:
    begun(running, position=13)
    answer = finished(running, "ab", text_start=12)
    assert [block.get("content") for block in answer.blocks] == ["a", None, "b"]


def test_calls_that_a_turn_leaves_behind_are_unknown(running: Turn) -> None:
    begun(running, new(1), NewCall(uuid=uuid4(), request=request(2), arguments={}, status="proposed"))
    answer = finished(running, "")
    assert list(ToolCall.objects.order_by("number").values_list("status", flat=True)) == ["unknown", "expired"]
    assert [block["tool"]["outcome"] for block in answer.blocks] == ["unknown", "expired"]
    assert answer.text == ""


def test_a_call_that_ends_after_its_turn_changes_nothing(running: Turn) -> None:
    uuid = begun(running)
    finished(running, "a")
    assert not tool_calls.end(running.uuid.hex, uuid, DONE)
    assert ToolCall.objects.get().status == "unknown"


def test_a_turn_whose_process_died_keeps_its_calls(running: Turn) -> None:
    begun(running)
    partials.write([PartialOutput(turn=running.uuid.hex, position=0, text="Hm.")])
    assert end_dead() == 1
    answer = Message.objects.get(role="assistant")
    assert [block["key"] for block in answer.blocks] == ["tool", "markdown"]
    assert answer.status == "interrupted"


def test_answers_without_calls_have_no_blocks_of_their_own(running: Turn) -> None:
    assert finished(running, "a").blocks is None


def test_a_late_answer_has_the_calls_too(running: Turn) -> None:
    begun(running)
    end_dead()
    assert [block["key"] for block in finished(running, "a").blocks] == ["tool", "markdown"]


class TestReaders:
    """Readers of other processes, and those who come later."""

    @staticmethod
    def told(turn: Turn, position: int = 0) -> list[Any]:
        """The events after `Started`, without the end, of a reader with this position."""
        replay = replays.find_for_user(turn.user, turn.uuid)
        reader = TurnSubscription(replay, position)
        reader.start(background_loop())
        events: list[Any] = []
        while not (events and isinstance(events[-1], Finished)):
            if replay.terminal is None and any(isinstance(one, Delta) and "One" in one.text for one in events):
                finished(turn, "Hm.\n\nOne.")
                replay = replays.find_for_user(turn.user, turn.uuid)
            events += reader.take_blocking(10)
        reader.close()
        return events[1:-1]

    @staticmethod
    def write(turn: Turn) -> tuple[ToolCalled, ToolAnswered]:
        """A text, a call, and more text, of which the call stands in the middle."""
        partials.write([PartialOutput(turn=turn.uuid.hex, position=0, text="Hm.")])
        uuid = begun(turn, position=3)
        tool_calls.end(turn.uuid.hex, uuid, DONE)
        partials.write([PartialOutput(turn=turn.uuid.hex, position=3, text="\n\nOne.")])
        called = ToolCalled(call_uuid=uuid.hex, tool="project-list", arguments={})
        return called, ToolAnswered(call_uuid=uuid.hex, tool="project-list", outcome="done", summary="1 project")

    def test_elsewhere_they_get_the_calls_at_their_position(self, running: Turn) -> None:
        called, answered = self.write(running)
        assert self.told(running) == [Delta(text="Hm."), called, answered, Delta(text="\n\nOne.")]

    def test_of_a_stored_answer_they_get_the_same(self, running: Turn) -> None:
        called, answered = self.write(running)
        finished(running, "Hm.\n\nOne.")
        assert self.told(running) == [Delta(text="Hm."), called, answered, Delta(text="\n\nOne.")]
        assert self.told(running, 3) == [called, answered, Delta(text="\n\nOne.")]
        assert self.told(running, 4) == [Delta(text="\nOne.")]

    def test_a_call_that_ends_while_they_read_is_told_then(self, running: Turn) -> None:
        partials.write([PartialOutput(turn=running.uuid.hex, position=0, text="Hm.")])
        reader = TurnSubscription(replays.find_for_user(running.user, running.uuid))
        reader.start(background_loop())
        events: list[Any] = []
        uuid = begun(running, position=3)
        while not any(isinstance(event, ToolCalled) for event in events):
            events += reader.take_blocking(10)
        assert not any(isinstance(event, ToolAnswered) for event in events)
        tool_calls.end(running.uuid.hex, uuid, DONE)
        while not any(isinstance(event, ToolAnswered) for event in events):
            events += reader.take_blocking(10)
        finished(running, "Hm.")
        while not isinstance(events[-1], Finished):
            events += reader.take_blocking(10)
        reader.close()
        assert [type(event).__name__ for event in events[1:]] == ["Delta", "ToolCalled", "ToolAnswered", "Finished"]


def test_the_api_serves_the_calls(running: Turn) -> None:
    tool_calls.end(running.uuid.hex, begun(running), DONE)
    finished(running, "One.")
    shown = client_of(running.user).get("/api/chat-messages/").json()[-1]
    assert [block["key"] for block in shown["blocks"]] == ["tool", "markdown"]
    assert [call["name"] for call in shown["tool_calls"]] == ["project-list"]


def test_the_export_has_the_calls(running: Turn) -> None:
    tool_calls.end(running.uuid.hex, begun(running), DONE)
    finished(running, "One.")
    messages = json.loads("".join(export.as_json(running.user)))["threads"][0]["messages"]
    assert [[call["summary"] for call in one["tool_calls"]] for one in messages] == [[], ["1 project"]]


def test_erasing_and_deleting_leave_no_calls(running: Turn, user: Any) -> None:
    begun(running)
    ToolCall.objects.create(tool="alone", user=user)
    deletion.delete(running.thread)
    assert ToolCall.objects.get().tool == "alone"
    deletion.erase(user)
    assert not ToolCall.objects.exists()


def test_calls_go_with_their_user(running: Turn) -> None:
    begun(running)
    get_user_model().objects.get(pk=running.user_id).delete()
    assert not ToolCall.objects.exists()
    assert not Thread.objects.exists()


def test_a_call_has_a_name(running: Turn) -> None:
    begun(running)
    assert str(ToolCall.objects.get()) == "project-list, running"
