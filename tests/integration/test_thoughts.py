"""Thoughts that a model has written into its answer are not stored, and readers' positions stay right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import Caller
from tests.integration.dying import end_dead
from tests.integration.stored import thread_of, turn_in
from tests.integration.test_rejoining import events_of, ids, text, told, words
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.errors import ProviderEmpty
from waldur_chat.events import Delta, Finished, Reasoning, Stopped
from waldur_chat.models import Message, Turn
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import finish, partials, replays
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.testing import scripted
from waldur_chat.turns.resume import TurnSubscription

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]

THOUGHT, ANSWER = "Okay, a greeting.\n</think>\n\n", "Hello, wörld. 🙂"
START = len(THOUGHT)


@pytest.fixture
def finished(user: Any) -> Turn:
    with scripted(THOUGHT, ANSWER, Stopped(reason="stop")):
        assert chat.invoke("Hi", user=user).text == ANSWER
    return Turn.objects.get()


def test_the_stored_answer_has_no_thoughts(finished: Turn) -> None:
    assert finished.text_start == START
    assert Message.objects.get(role="assistant").text == ANSWER


def test_the_model_is_told_no_thoughts_of_its_own(user: Any, finished: Turn) -> None:
    assert finished.thread
    with scripted("Fine.") as provider:
        chat.invoke("And now?", user=user, thread=finished.thread.uuid)
    assert [message.text for message in provider.prompts[0].messages] == ["Hi", ANSWER, "And now?"]


def test_a_new_reader_gets_the_stored_answer(call: Caller, finished: Turn) -> None:
    reply = events_of(call, finished.uuid)
    assert text(reply) == ANSWER
    assert ids(reply) == [str(START), str(START + len(ANSWER)), "end"]


@pytest.mark.parametrize(
    ("position", "rest"),
    [(1, ANSWER), (START - 1, ANSWER), (START, ANSWER), (START + 3, ANSWER[3:]), (START + len(ANSWER) + 9, "")],
)
def test_an_earlier_reader_goes_on_where_it_was(call: Caller, finished: Turn, position: int, rest: str) -> None:
    assert text(events_of(call, finished.uuid, after=str(position))) == rest
    lines = events_of(call, finished.uuid, after=str(position), Accept="application/x-ndjson").body.splitlines()
    assert "".join(one.get("c", "") for one in map(json.loads, lines)) == rest


def test_thoughts_that_the_provider_has_separated_are_not_looked_for(user: Any) -> None:
    answer = "Use\n</think>\nalone."
    with scripted(Reasoning(text="Hm."), answer):
        assert chat.invoke("Hi", user=user).text == answer
    assert Turn.objects.get().text_start == 0
    assert Message.objects.get(role="assistant").text == answer


def test_an_answer_of_thoughts_alone_is_none(user: Any, settings: Any) -> None:
    with scripted(THOUGHT), pytest.raises(ProviderEmpty):
        chat.invoke("Hi", user=user)
    assert Turn.objects.get().code == "provider_empty"
    assert not Message.objects.filter(role="assistant")
    settings.WALDUR_CHAT = {"STORAGE": False}
    with scripted(THOUGHT), pytest.raises(ProviderEmpty):
        chat.invoke("Hi")


def test_the_view_invokes_without_thoughts_too(call: Caller) -> None:
    with scripted(THOUGHT, ANSWER):
        assert json.loads(call.post("/api/chat/invoke/", {"input": "Hi"}).body) == ANSWER
    with scripted(Reasoning(text="Hm."), THOUGHT):
        assert json.loads(call.post("/api/chat/invoke/", {"input": "Hi"}).body) == THOUGHT


@pytest.fixture
def elsewhere(user: Any) -> Turn:
    """A turn that runs in another process."""
    thread = thread_of(user, "Hi")
    row = turn_in(thread, user=user, answer_index=1, question=Message.objects.get())
    row.expires = row.expires.replace(year=row.expires.year + 1)
    row.save()
    return row


@pytest.mark.parametrize("written", ["", THOUGHT[:5], THOUGHT, THOUGHT + ANSWER[:3]])
def test_a_reader_of_another_process_gets_the_rest_of_the_answer(user: Any, elsewhere: Turn, written: str) -> None:
    viewing = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
    viewing.start(background_loop())
    read = ""
    if written:
        partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text=written)])
        while len(read) < len(written):
            read += words(viewing.take_blocking(10))
    outcome = TurnOutcome(status="finished", reason="stop", text=ANSWER, text_start=START)
    finish.finish_turn(elsewhere.uuid.hex, outcome)
    while not chat.ended(events := viewing.take_blocking(10)):
        read += words(events)
    viewing.close()
    assert read + words(events) == written + ANSWER[max(len(written) - START, 0) :]
    assert isinstance(events[-1], Finished)


def test_of_thoughts_alone_a_reader_of_another_process_gets_the_end(user: Any, elsewhere: Turn) -> None:
    viewing = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
    viewing.start(background_loop())
    partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text=THOUGHT[:5])])
    assert viewing.take_blocking(10)[-1] == Delta(text=THOUGHT[:5])
    finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="cancelled", code="turn_cancelled", text_start=START))
    assert words(told(viewing)) == ""


def test_an_interrupted_answer_has_no_thoughts_either(user: Any, elsewhere: Turn) -> None:
    partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text=THOUGHT + ANSWER)])
    assert end_dead() == 1
    assert Message.objects.get(role="assistant").text == ANSWER
    assert Turn.objects.get().text_start == START
