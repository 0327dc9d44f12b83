"""Answers with tools: the model calls, the host's code runs as the user, and all of it is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError

from tests.integration.chatting import until
from tests.integration.conftest import Caller
from tests.integration.counting import counted
from tests.integration.stored import client_of
from tests.integration.tools.answering import ALONE, BEGUN, MAY_END, TOOLS, call, unframed
from tests.integration.tools.conftest import ALICE, TOKENS
from tests.integration.turning import ask, begin, finish
from waldur_chat import chat
from waldur_chat.errors import TurnNotFound
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, ToolAnswered, ToolCalled, Usage
from waldur_chat.models import Message, ToolCall, Turn
from waldur_chat.store.conversations import deletion
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.calls import shown_calls
from waldur_chat.turns.tools import call_store, turn_tools

pytestmark = pytest.mark.django_db(transaction=True)


def outcomes(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.tool, event.outcome) for event in events if isinstance(event, ToolAnswered)]


def results(said: Any) -> list[str]:
    """What the model was told of its calls."""
    return [unframed(message.text) for message in said.prompts[-1].messages if message.role == "tool"]


@pytest.mark.core
def test_a_tool_runs_as_the_user_and_is_part_of_the_answer(user: Any, model: Any) -> None:
    said = model(["Let me see.", call(1, "who")], ["You are alice."])
    events = ask(user, "Who am I?")
    assert [type(event).__name__ for event in events] == [
        "Started", "Delta", "ToolCalled", "ToolAnswered", "Delta", "Finished"
    ]  # fmt: skip
    assert results(said) == ["alice"]
    answer = Message.objects.get(role="assistant")
    assert answer.text == "Let me see.\n\nYou are alice."
    assert [block["key"] for block in answer.blocks] == ["markdown", "tool", "markdown"]
    assert answer.blocks[1]["tool"]["outcome"] == "done"
    stored = ToolCall.objects.get()
    assert (stored.status, stored.result, stored.position, stored.user) == ("done", "alice", 11, user)


def test_the_model_is_offered_the_tools_of_its_user(user: Any, model: Any) -> None:
    said = model(["a"], TOOLS={"who": TOOLS["who"], "write": {**TOOLS["write"], "ROLES": "staff"}})
    ask(user, "Hi")
    (spec,) = said.prompts[0].tools
    assert (spec.name, spec.description) == ("who", "Says who asks.")
    assert spec.schema["type"] == "object"


def test_reads_run_side_by_side(user: Any, model: Any) -> None:
    said = model([call(1, "meet", '{"number": 1}'), call(2, "meet", '{"number": 2}')], ["a"])
    assert sorted(outcomes(ask(user, "Hi"))) == [("meet", "done")] * 2
    assert results(said) == ["1", "2"]


def test_writes_run_one_after_the_other(user: Any, model: Any) -> None:
    model([call(1, "write", '{"word": "a"}'), call(2, "write", '{"word": "b"}')], ["a"])
    ask(user, "Hi")
    assert ALONE == ["a begins", "a ends", "b begins", "b ends"]


def test_what_a_result_shows_is_in_the_stored_block(user: Any, model: Any) -> None:
    model([call(1, "write", '{"word": "a"}')], ["a"])
    events = ask(user, "Hi")
    assert [event.block for event in events if isinstance(event, ToolAnswered)] == [{"key": "resource_list", "a": 1}]
    block = Message.objects.get(role="assistant").blocks[0]
    assert block["tool"]["summary"] == "Wrote a."
    assert block["result"] == {"id": "0", "status": "complete", "key": "resource_list", "a": 1}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (call(1, "nothing"), "There is no tool of this name"),
        (call(1, "meet", "{no"), "not valid JSON"),
        (call(1, "meet", "[]"), "must be a JSON object"),
        (call(1, "meet", '{"number": NaN}'), "not valid JSON"),
        (call(1, "meet", '{"number": -Infinity}'), "not valid JSON"),
        (call(1, "meet", '{"number": 1e400}'), "not valid JSON"),
        (call(1, "meet", '{"number": "x"}'), "number"),
        (call(1, "fail"), "Internal error"),
    ],
)
def test_what_fails_is_told_to_the_model_and_not_more(user: Any, model: Any, asked: Any, told: str) -> None:
    said = model([asked], ["a"])
    events = ask(user, "Hi")
    assert outcomes(events) == [(asked.name, "failed")]
    assert told in results(said)[0]
    assert "secret" not in results(said)[0]
    assert isinstance(events[-1], Finished)
    assert ToolCall.objects.get().status == "failed"


def test_words_of_strangers_may_not_lead_to_a_write(user: Any, model: Any) -> None:
    model([call(1, "fail")], [call(2, "write", '{"word": "a"}')], ["a"])
    ask(user, "Hi")
    assert ALONE == []


def test_a_trusted_result_may_lead_to_a_write(user: Any, model: Any) -> None:
    model([call(1, "who")], [call(2, "write", '{"word": "a"}')], ["a"])
    ask(user, "Hi")
    assert len(ALONE) == 2


def test_results_are_cut(user: Any, model: Any) -> None:
    said = model([call(1, "write", '{"word": "a"}')], ["a"], TOOL_RESULT_LENGTH=80)
    ask(user, "Hi")
    assert "Cut:" in results(said)[0]
    assert len(results(said)[0]) <= 80


def test_half_a_character_of_a_result_is_replaced(user: Any, model: Any) -> None:
    backend = {"BACKEND": "tests.integration.tools.answering.half"}
    said = model([call(1, "half")], ["a"], TOOLS={"half": backend})
    ask(user, "Hi")
    assert results(said) == ["a\ufffd"]


def test_a_tool_has_the_id_of_its_call(user: Any, model: Any) -> None:
    said = model([call(1, "rename", '{"name": "Al"}')], ["a"])
    ask(user, "Hi")
    assert results(said) == [ToolCall.objects.get().uuid.hex]
    user.refresh_from_db()
    assert user.first_name == "Al"


def test_usage_of_all_rounds_is_charged(user: Any, model: Any) -> None:
    used = Usage(input_tokens=700, output_tokens=5), Usage(input_tokens=800, output_tokens=2)
    model([call(1, "who"), used[0]], ["a", used[1]])
    ask(user, "Hi")
    turn = Turn.objects.get()
    assert (turn.input_tokens, turn.output_tokens) == (1500, 7)


class TestStopped:
    """The turn ends while a tool runs."""

    def test_its_call_is_unknown(self, user: Any, model: Any) -> None:
        model([call(1, "wait"), call(2, "write", '{"word": "a"}')], ["a"])
        turn = begin(user, "Hi")
        assert BEGUN.wait(10)
        turn.cancel()
        events = finish(turn)
        MAY_END.set()
        assert isinstance(events[-1], Cancelled)
        assert set(outcomes(events)) == {("wait", "unknown"), ("write", "expired")}
        assert list(ToolCall.objects.order_by("number").values_list("status", flat=True)) == ["unknown", "expired"]
        assert ALONE == []

    def test_a_deleted_conversation_ends_it(self, user: Any, model: Any) -> None:
        model([call(1, "wait")], [call(2, "who")], ["a"])
        turn = begin(user, "Hi")
        assert BEGUN.wait(10)
        deletion.delete(Turn.objects.get().thread)
        MAY_END.set()
        assert isinstance(finish(turn)[-1], (Cancelled, Failed))
        assert not ToolCall.objects.exists()


class TestWithoutDatabase:
    """The database fails between the rounds."""

    @pytest.mark.parametrize(
        ("error", "code"), [(OperationalError(), "database_unavailable"), (TurnNotFound(), "interrupted")]
    )
    def test_a_call_that_cannot_be_stored_is_not_run(
        self, user: Any, model: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
    ) -> None:
        def fails(*_: object) -> None:
            raise error

        monkeypatch.setattr(tool_calls, "add", fails)
        model([call(1, "write", '{"word": "a"}')], ["a"])
        failed = ask(user, "Hi")[-1]
        assert isinstance(failed, Failed)
        assert failed.error.code == code
        assert ALONE == []

    @pytest.mark.parametrize("is_away", [True, False])
    def test_a_write_that_cannot_be_claimed_is_not_run(
        self, user: Any, model: Any, monkeypatch: pytest.MonkeyPatch, is_away: bool
    ) -> None:
        def fails(*_: object, **__: object) -> bool:
            if is_away:
                raise OperationalError
            return False

        monkeypatch.setattr(tool_calls, "change", fails)
        monkeypatch.setattr(call_store, "RETRY_SECONDS", ())
        said = model([call(1, "write", '{"word": "a"}')], ["a"])
        assert outcomes(ask(user, "Hi")) == [("write", "unknown")]
        assert results(said) == [turn_tools.NOT_CLAIMED]
        assert ALONE == []

    def test_an_end_is_stored_when_the_database_is_back(
        self, user: Any, model: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ends, failures = tool_calls.end, [OperationalError()]

        def fails_once(*arguments: Any) -> bool:
            if failures:
                raise failures.pop()
            return ends(*arguments)

        monkeypatch.setattr(tool_calls, "end", fails_once)
        monkeypatch.setattr(call_store, "RETRY_SECONDS", (0.01,))
        model([call(1, "who")], ["a"])
        assert outcomes(ask(user, "Hi")) == [("who", "done")]


class TestNotStored:
    """Nothing is stored of a turn, and so nothing of its calls."""

    def test_of_a_site_without_storage(self, user: Any, model: Any) -> None:
        said = model([call(1, "write", '{"word": "a"}')], ["a"], STORAGE=False)
        assert chat.invoke("Hi", user=user).text == "a"
        assert len(said.prompts) == 2
        assert not ToolCall.objects.exists()

    def test_of_somebody_unknown(self, model: Any) -> None:
        said = model(["a"], TOOLS={"who": {**TOOLS["who"], "ROLES": "anonymous"}, "meet": TOOLS["meet"]})
        chat.invoke("Hi", user=AnonymousUser())
        assert [spec.name for spec in said.prompts[0].tools] == ["who"]

    def test_the_hosts_own_code_has_no_tools(self, model: Any) -> None:
        said = model(["a"])
        chat.invoke("Hi")
        assert said.prompts[0].tools == ()


class TestLater:
    """Later questions of the same conversation."""

    def test_the_model_is_told_of_earlier_calls(self, user: Any, model: Any) -> None:
        first = [call(1, "write", '{"word": "a"}', extra={"s": 1})]
        said = model(["Hm.", *first], ["Done."], ["Sure."])
        ask(user, "Hi")
        thread = Turn.objects.get().thread
        ask(user, "Again", thread=thread.uuid)
        told = said.prompts[-1].messages
        assert [(message.role, unframed(message.text)) for message in told] == [
            ("user", "Hi"),
            ("assistant", "Hm."),
            ("tool", json.dumps({"x": "y" * 100}, separators=(",", ":"))),
            ("assistant", "Done."),
            ("user", "Again"),
        ]
        assert told[1].calls[0].extra == {"s": 1}
        assert told[1].calls[0].id == told[2].call_id == "call00001"

    def test_long_results_are_cut_and_missing_ones_named(self, user: Any, model: Any) -> None:
        said = model([call(1, "who"), call(2, "wait")], ["Sure."])
        turn = begin(user, "Hi")
        assert BEGUN.wait(10)
        until(lambda: ToolCall.objects.filter(status="done").exists())
        turn.cancel()
        finish(turn)
        MAY_END.set()
        ToolCall.objects.filter(tool="who").update(result="x" * 5000)
        ask(user, "Again", thread=Turn.objects.get().thread.uuid)
        _, _, cut, missing, nothing, _ = said.prompts[-1].messages
        assert len(unframed(cut.text)) == 2000
        assert unframed(cut.text).endswith("was left out.]")
        assert "may have had its effect" in missing.text
        assert (nothing.role, nothing.text) == ("assistant", "[The answer ended here.]")


@pytest.mark.parametrize("colour", ["wsgi", "asgi"])
def test_a_view_is_called_with_the_credentials_of_the_request(projects: None, model: Any, colour: str) -> None:
    said = model([call(1, "projects")], ["a"], TOOLS={"projects": {"VIEW": "project-list", "FIELDS": ["name"]}})
    reply = Caller(colour=colour, token=TOKENS[ALICE]).stream()
    assert reply.status == 200
    assert b"event: tool_call" in reply.body
    assert b"event: tool_result" in reply.body
    assert [row["name"] for row in json.loads(results(said)[0])["rows"]] == ["one", "two", "three"]


def test_without_a_request_views_are_not_offered(user: Any, model: Any) -> None:
    tools = {"projects": {"VIEW": "project-list"}, "who": TOOLS["who"]}
    said = model(["a"], TOOLS=tools)
    chat.invoke("Hi", user=user)
    assert [spec.name for spec in said.prompts[0].tools] == ["who"]


def test_the_answer_names_its_calls(user: Any, model: Any) -> None:
    model([call(1, "write", '{"word": "a"}'), call(2, "nothing")], ["a"])
    answer = chat.invoke("Hi", user=user)
    first, second = answer.calls
    assert (first.tool, first.arguments, first.outcome, first.summary) == ("write", {"word": "a"}, "done", "Wrote a.")
    assert (second.tool, second.outcome) == ("nothing", "failed")


def test_a_budget_knows_the_tools_and_each_round(user: Any, model: Any) -> None:
    said = model([call(1, "who"), Usage(input_tokens=300, output_tokens=20)], ["a"], USER_TOKENS_DAILY=100_000)
    events = ask(user, "Hi")
    assert isinstance(events[-1], Finished)
    first, second = (prompt.max_output_tokens for prompt in said.prompts)
    assert first
    assert second
    assert second < first < 100_000


def test_a_budget_that_is_used_up_ends_the_answer(user: Any, model: Any) -> None:
    model(["Hm.", call(1, "who"), Usage(input_tokens=5000, output_tokens=500)], ["never"], USER_TOKENS_DAILY=5600)
    end = ask(user, "Hi")[-1]
    assert isinstance(end, Finished)
    assert end.reason == "length"


def test_without_tools_a_turn_has_the_same_queries_as_with_tools_that_are_not_called(user: Any, model: Any) -> None:
    def statements(**others: Any) -> int:
        model(["a"], TITLES=False, **others)
        with counted() as found:
            ask(user, "Hi")
        return len([one for one in found if "tool" in str(one).lower().replace("tool_events", "")])

    assert statements(TOOLS={}) == statements() == 0


def test_events_of_tools_reach_every_format(user: Any, model: Any) -> None:
    client = client_of(user)
    for accept, expected in (
        ("application/x-ndjson", b'{"k":"tool_call"'),
        ("text/event-stream", b"event: tool_call"),
        ("text/plain", b"Hm.\n\na"),
    ):
        model(["Hm.", call(1, "who")], ["a"])
        body = client.post("/api/chat/stream/", {"input": "Hi"}, "application/json", headers={"Accept": accept})
        assert expected in b"".join(body.streaming_content)


def test_the_words_of_the_events_are_those_that_are_stored(user: Any, model: Any) -> None:
    model(["Hm.", call(1, "write", '{"word": "a"}')], ["b"])
    events = ask(user, "Hi")
    replayed = shown_calls.events_of(list(ToolCall.objects.all()), Turn.objects.get().pk)
    assert [event for _, event in replayed] == [
        event for event in events if isinstance(event, (ToolCalled, ToolAnswered))
    ]
    assert [event.text for event in events if isinstance(event, Delta)] == ["Hm.", "\n\nb"]
    assert get_user_model().objects.count() == 1
