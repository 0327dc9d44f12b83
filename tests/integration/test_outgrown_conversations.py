"""A conversation that has outgrown the model goes on without its beginning, and says so: at once, and ever after."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from tests.integration.chatting import settled
from tests.integration.conftest import Caller
from tests.integration.dying import end_dead
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.errors import ContextExceeded
from waldur_chat.events import HISTORY_SHORTENED, Delta, Event, Finished, ProviderEvent, Started, Warned
from waldur_chat.messages import Prompt
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.providers.base import Provider
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import finish, replays
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.text_size import total_size
from waldur_chat.turns.resume import TurnSubscription

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]

WARNED = Warned(text=HISTORY_SHORTENED)


class NarrowProvider(Provider):
    """Takes five kilobytes, and says how many messages it was told."""

    writes_titles = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        if total_size(prompt.messages) > 5000:
            raise ContextExceeded("Five kilobytes!")
        yield Delta(text=str(len(prompt.messages)))


@pytest.fixture(autouse=True)
def narrow(stores: Any, settings: Any) -> None:  # noqa: F811  # The fixture.
    entry = {"BACKEND": f"{__name__}.NarrowProvider"}
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "PROVIDERS": {"default": entry}}


@pytest.fixture
def long(user: Any) -> Thread:
    """A conversation of eight kilobytes."""
    return thread_of(user, *["x" * 1000] * 8, name="Long", is_named=True)


def told(viewing: TurnSubscription) -> list[Event]:
    viewing.start(background_loop())
    events: list[Event] = []
    while not chat.ended(events):
        events += viewing.take_blocking(10)
    viewing.close()
    return events


def test_its_answer_is_warned_of(user: Any, long: Thread) -> None:
    answer = chat.invoke("What now?", user=user, thread=long.uuid)
    assert (answer.text, answer.warning) == ("5", HISTORY_SHORTENED)
    assert Message.objects.get(text="5").warning == HISTORY_SHORTENED


def test_one_that_fits_is_not(user: Any) -> None:
    short = thread_of(user, "a", "b", name="Short", is_named=True)
    assert chat.invoke("What now?", user=user, thread=short.uuid).warning == ""
    assert Message.objects.get(text="3").warning == ""


def test_a_stream_warns_before_the_answer(call: Caller, long: Thread) -> None:
    question = {"input": "What now?", "thread_uuid": long.uuid.hex}
    body = call.stream(question, Accept="text/event-stream").body.decode()
    events = [block.split("\n") for block in body.split("\n\n") if "event:" in block or "data:" in block]
    assert events[1][:2] == ["id: 0", "event: warning"]
    assert json.loads(events[1][2][6:]) == {"warning": HISTORY_SHORTENED, "code": "history_shortened"}


def test_lines_of_json_warn_after_the_first(call: Caller, long: Thread) -> None:
    question = {"input": "What now?", "thread_uuid": long.uuid.hex}
    lines = [json.loads(line) for line in call.stream(question, Accept="application/x-ndjson").body.splitlines()]
    assert [next(iter(line)) for line in lines] == ["m", "w", "k", "m"]
    assert lines[1] == {"w": HISTORY_SHORTENED}


def test_the_stored_message_and_the_export_have_the_warning(call: Caller, user: Any, long: Thread) -> None:
    chat.invoke("What now?", user=user, thread=long.uuid)
    assert call.get(f"/api/chat-messages/?thread={long.uuid}").json[-1]["warning"] == HISTORY_SHORTENED
    assert HISTORY_SHORTENED in call.get("/api/chat-sessions/current/export/?as=json").body.decode()


def test_who_comes_after_the_end_is_warned_too(user: Any, long: Thread) -> None:
    chat.invoke("What now?", user=user, thread=long.uuid)
    events = told(TurnSubscription(replays.find_for_user(user, Turn.objects.get().uuid)))
    assert [type(event) for event in events] == [Started, Warned, Delta, Finished]
    assert events[1] == WARNED


def test_a_question_that_is_too_long_by_itself_is_told_so(call: Caller) -> None:
    reply = call.invoke({"input": "x" * 6000})
    assert (reply.status, reply.json["code"]) == (422, "context_exceeded")
    assert "too long" in reply.json["detail"]


@pytest.fixture
def elsewhere(user: Any) -> Iterator[Turn]:
    """A turn that runs in another process."""
    thread = thread_of(user, "Hi")
    row = turn_in(thread, user=user, answer_index=1, question=Message.objects.get())
    yield row
    settled()


def end(row: Turn) -> None:
    """Its process stores an answer with a warning."""
    finish.finish_turn(row.uuid.hex, TurnOutcome(status="finished", text="Hello", warning=HISTORY_SHORTENED))


def test_who_follows_a_turn_of_another_process_is_warned_with_its_end(user: Any, elsewhere: Turn) -> None:
    viewing = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
    end(elsewhere)
    events = told(viewing)
    assert [type(event) for event in events] == [Started, Warned, Delta, Finished]


def test_who_has_some_of_its_text_finds_the_warning_with_the_message(user: Any, elsewhere: Turn) -> None:
    elsewhere.pieces.create(position=0, text="Hel")
    viewing = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
    viewing.start(background_loop())
    first = viewing.take_blocking(10)
    end(elsewhere)
    assert first[-1] == Delta(text="Hel")
    rest: list[Event] = []
    while not chat.ended(rest):
        rest += viewing.take_blocking(10)
    viewing.close()
    assert [type(event) for event in rest] == [Delta, Finished]


def test_an_answer_that_was_interrupted_and_comes_after_all_is_warned_of(user: Any, elsewhere: Turn) -> None:
    elsewhere.pieces.create(position=0, text="Hel")
    end_dead()
    end(elsewhere)
    assert (Message.objects.get(text="Hello").warning, Message.objects.count()) == (HISTORY_SHORTENED, 2)
