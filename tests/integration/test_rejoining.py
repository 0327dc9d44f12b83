"""Who comes back to an answer gets exactly what he has not: while it is written, in any process, and ever after."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.chatting import settled, until, waiting
from tests.integration.conftest import Caller, Reply
from tests.integration.dying import seen_unchanged
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import begin, finish, stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.engine import running_turns
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ProviderBusy, ServerStopping
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Started, Stopped, Usage
from waldur_chat.messages import Question
from waldur_chat.models import Message, Piece, Thread
from waldur_chat.models import Turn as Row
from waldur_chat.runtime import shutdown
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import finish as store_finish
from waldur_chat.store.turns import leases, partials, replays
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.testing import scripted
from waldur_chat.turns import follower, notifier
from waldur_chat.turns.reaper import LONGEST_GAP_SECONDS
from waldur_chat.turns.resume import TurnSubscription

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]

ANSWER = "Hello, wörld. 🙂"


def events_of(call: Caller, turn: Any, **headers: str) -> Reply:
    """GET its events; `after` goes into the address."""
    after = headers.pop("after", "")
    return call.get(f"/api/chat/turns/{turn}/events/{'?after=' + after if after else ''}", **headers)


def text(reply: Reply) -> str:
    """The words of a stream of server-sent events."""
    assert reply.status == 200, reply.body
    data = [json.loads(line[6:]) for line in reply.body.split(b"\n") if line.startswith(b"data: ")]
    return "".join(one.get("c", "") for one in data)


def ids(reply: Reply) -> list[str]:
    return re.findall(r"^id: (.*)$", reply.body.decode(), re.MULTILINE)


def told(viewing: TurnSubscription) -> list[Event]:
    """All that a view tells, on the loop of this process."""
    viewing.start(background_loop())
    events: list[Event] = []
    while not chat.ended(events):
        events += viewing.take_blocking(10)
    viewing.close()
    return events


def words(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.fixture
def finished(user: Any) -> Row:
    """A turn that has ended."""
    with scripted(ANSWER, Usage(input_tokens=7, output_tokens=5), Stopped(reason="length")):
        chat.invoke("Hi", user=user)
    return Row.objects.get()


@pytest.fixture
def elsewhere(user: Any) -> Iterator[Row]:
    """A turn that runs in another process."""
    thread = thread_of(user, "Hi")
    row = turn_in(thread, user=user, answer_index=1, question=Message.objects.get())
    row.expires = row.expires.replace(year=row.expires.year + 1)
    row.save()
    yield row
    Row.objects.filter(pk=row.pk).update(status="cancelled")


class TestOver:
    """The turn has ended."""

    def test_it_is_told_whole(self, call: Caller, finished: Row) -> None:
        reply = events_of(call, finished.uuid)
        assert text(reply) == ANSWER
        assert ids(reply) == ["0", str(len(ANSWER)), "end"]
        assert reply.headers["X-Chat-Turn"] == finished.uuid.hex
        end = json.loads(reply.body.split(b"data: ")[-1])
        assert end["additional_kwargs"]["usage_metadata"] == {"input_tokens": 7, "output_tokens": 5}
        assert end["finish_reason"] == "length"

    @pytest.mark.parametrize("position", [1, 8, len(ANSWER), len(ANSWER) + 5])
    def test_from_a_position_it_is_told_to_the_end(self, call: Caller, finished: Row, position: int) -> None:
        for reply in (
            events_of(call, finished.uuid.hex, Last_Event_ID=str(position)),
            events_of(call, finished.uuid, after=str(position)),
            events_of(call, finished.uuid, after=str(position), Last_Event_ID="0"),
        ):
            assert text(reply) == ANSWER[position:]
            assert ids(reply)[-1] == "end"

    def test_it_is_told_in_each_format(self, call: Caller, finished: Row) -> None:
        assert events_of(call, finished.uuid, after="7", Accept="text/plain").body.decode() == ANSWER[7:]
        lines = events_of(call, finished.uuid, Accept="application/x-ndjson").body.splitlines()
        assert json.loads(lines[1]) == {"k": "markdown", "c": ANSWER}

    def test_there_is_nothing_after_the_end(self, call: Caller, finished: Row) -> None:
        reply = events_of(call, finished.uuid, Last_Event_ID="end")
        assert (reply.status, reply.body) == (204, b"")

    @pytest.mark.parametrize("given", ["-1", "1.5", "x", "٣", "1" * 10])
    def test_a_position_that_is_none_is_refused(self, call: Caller, finished: Row, given: str) -> None:
        reply = events_of(call, finished.uuid, after=given)
        assert (reply.status, list(reply.json)) == (400, ["after", "code"])

    @pytest.mark.parametrize("uuid", ["7" * 32, "7" * 31, "x"])
    def test_a_turn_that_is_not_there_is_not_found(self, call: Caller, uuid: str) -> None:
        reply = events_of(call, uuid)
        assert (reply.status, reply.json["code"]) == (404, "turn_not_found")

    def test_a_turn_of_a_title_is_nobodys(self, call: Caller, finished: Row) -> None:
        Row.objects.update(purpose="title")
        assert events_of(call, finished.uuid).status == 404

    def test_a_turn_whose_conversation_was_deleted_is_gone(self, call: Caller, finished: Row) -> None:
        Row.objects.update(thread=None)
        assert events_of(call, finished.uuid).status == 404

    def test_one_that_failed_fails_again(self, call: Caller, user: Any) -> None:
        with scripted("Hel", ProviderBusy()):
            list(chat.stream("Hi", user=user))
        reply = events_of(call, Row.objects.get().uuid)
        assert b"event: error" in reply.body
        assert b'"code":"provider_busy"' in reply.body
        assert b'"Hel"' in reply.body

    def test_one_that_failed_before_it_began_tells_that(self, call: Caller, user: Any) -> None:
        with scripted(ProviderBusy()):
            list(chat.stream("Hi", user=user))
        reply = events_of(call, Row.objects.get().uuid)
        assert ids(reply) == ["end"]
        assert b"event: error" in reply.body

    def test_one_of_an_error_that_is_known_no_more_fails_too(self, call: Caller, finished: Row) -> None:
        Row.objects.update(status="failed", code="forgotten")
        assert b"event: error" in events_of(call, finished.uuid).body

    def test_one_that_was_cancelled_tells_that(self, call: Caller, finished: Row) -> None:
        Row.objects.update(status="cancelled")
        assert b"event: cancelled" in events_of(call, finished.uuid).body

    def test_what_ended_is_told_when_the_chat_is_switched_off(self, call: Caller, finished: Row, settings: Any) -> None:
        settings.WALDUR_CHAT = {"STORAGE": True, "ENABLED": False}
        assert text(events_of(call, finished.uuid)) == ANSWER


class TestHere:
    """The turn runs in this process."""

    def test_it_is_told_from_the_beginning_and_as_it_is_written(self, call: Caller, user: Any) -> None:
        with scripted("Hel", 0.4, "lo"):
            turn = begin(user, "Hi")
            assert text(events_of(call, turn.id)) == "Hello"
            assert words(finish(turn)) in ("lo", "Hello")

    def test_from_a_position_only_the_rest_is_told(self, call: Caller, user: Any) -> None:
        with scripted("Hel", 0.4, "lo"):
            turn = begin(user, "Hi")
            assert text(events_of(call, turn.id, after="2")) == "llo"
            finish(turn)

    def test_blocks_go_on_where_they_were(self, call: Caller, user: Any) -> None:
        with scripted("```python\nprint(", 0.4, "1)\n```\n"):
            turn = begin(user, "Hi")
            lines = events_of(call, turn.id, after="16", Accept="application/x-ndjson").body.splitlines()
            assert {"k": "code", "c": "print(1)"}.items() <= json.loads(lines[1]).items()
            finish(turn)

    def test_any_number_may_read(self, user: Any) -> None:
        with scripted("Hel", 0.3, "lo"):
            turn = begin(user, "Hi")
            views = [TurnSubscription(replays.find_for_user(user, Row.objects.get().uuid)) for _ in range(5)]
            for view in views:
                view.start(background_loop())
            assert [words(told(view)) for view in views] == ["Hello"] * 5
            finish(turn)

    def test_its_error_is_that_of_the_view(self, user: Any) -> None:
        viewed = threading.Event()
        with waiting(viewed, ProviderBusy()):
            turn = chat.open_turn(Question(text="Hi"), chat.load(), user=user)
            turn.start(background_loop())
            until(lambda: running_turns.find(turn.id))
            view = TurnSubscription(replays.find_for_user(user, Row.objects.get().uuid))
            view.start(background_loop())
            viewed.set()
            assert isinstance(told(view)[-1], Failed)
            assert isinstance(turn, Turn)
            finish(turn)


class TestElsewhere:
    """The turn runs in another process, of which only the database is seen."""

    def test_it_is_told_as_it_is_written(self, user: Any, elsewhere: Row) -> None:
        partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text="Hel")])
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
        assert not view.ends_with_reader
        view.start(background_loop())
        assert view.take_blocking(10) == [Started(turn=elsewhere.uuid.hex, thread=view.thread), Delta(text="Hel")]
        partials.write(
            [
                PartialOutput(turn=elsewhere.uuid.hex, position=3, text="lo,"),
                PartialOutput(turn=elsewhere.uuid.hex, position=6, text=" "),
            ]
        )
        assert words(view.take_blocking(10)) == "lo, "
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="finished", reason="stop", text="Hello, you"))
        assert [type(event) for event in told(view)] == [Delta, Finished]
        assert not Piece.objects.exists()

    def test_what_a_reader_has_is_not_told_again(self, user: Any, elsewhere: Row) -> None:
        partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text="Hello")])
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid), 3)
        view.start(background_loop())
        assert words(view.take_blocking(10)) == "lo"
        assert view.text_before_position() == "Hel"
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="finished", text="Hello"))
        assert isinstance(told(view)[-1], Finished)

    def test_readers_share_one_log(self, user: Any, elsewhere: Row) -> None:
        views = [TurnSubscription(replays.find_for_user(user, elsewhere.uuid), position) for position in (0, 1, 2)]
        for view in views:
            view.start(background_loop())
            view.take_blocking(0)
        assert len({id(view._reader.log) for view in views if view._reader}) == 1
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="finished", text="Hello"))
        assert [words(told(view)) for view in views] == ["Hello", "ello", "llo"]

    def test_when_its_process_dies_it_is_interrupted_and_keeps_what_was_written(
        self, user: Any, elsewhere: Row
    ) -> None:
        partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text="Hel")])
        seen_unchanged(elsewhere)
        events = told(TurnSubscription(replays.find_for_user(user, elsewhere.uuid)))
        assert words(events) == "Hel"
        assert isinstance(events[-1], Failed)
        assert events[-1].error.code == "interrupted"
        assert Message.objects.get(role="assistant").text == "Hel"

    def test_when_its_conversation_is_deleted_it_ends_for_its_readers(self, user: Any, elsewhere: Row) -> None:
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
        view.start(background_loop())
        view.take_blocking(0)
        Row.objects.update(thread=None)
        assert isinstance(told(view)[-1], Failed)

    def test_a_cancelled_one_ends_for_its_readers(self, user: Any, elsewhere: Row) -> None:
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
        view.start(background_loop())
        view.take_blocking(0)
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="cancelled"))
        assert [type(event) for event in told(view)] == [Cancelled]

    def test_a_server_that_stops_sends_its_readers_elsewhere(
        self, call: Caller, elsewhere: Row, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(shutdown, "server_is_stopping", lambda *_: True)
        partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text="Hel")])
        reply = events_of(call, elsewhere.uuid)
        assert reply.status == 200
        assert b"event: e" not in reply.body

    def test_a_view_that_is_sent_away_says_so(self, user: Any, elsewhere: Row) -> None:
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
        view.start(background_loop())
        view.on_server_stopping(0.0)
        with pytest.raises(ServerStopping):
            view.take_blocking(10)

    @pytest.fixture
    def looks(self, monkeypatch: Any) -> list[None]:
        """One for each time that somebody looks; the first two fail."""
        calls: list[None] = []
        found = replays.find_running

        def failing(rows: Any) -> Any:
            calls.append(None)
            if len(calls) < 3:
                raise ValueError
            return found(rows)

        monkeypatch.setattr(replays, "find_running", failing)
        return calls

    def test_a_database_that_fails_is_asked_again(self, elsewhere: Row, looks: list[None], caplog: Any) -> None:
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="finished", text="Hello"))
        view = TurnSubscription(replays.Replay(turn=elsewhere.uuid.hex, started=Started(turn="1", thread="2")))
        assert words(told(view)) == "Hello"
        assert "Turns of other processes could not be followed: ValueError" in caplog.messages

    def test_when_it_is_back_nobody_is_taken_for_dead_at_once(
        self, user: Any, elsewhere: Row, looks: list[None], monkeypatch: Any
    ) -> None:
        follower.follower_of_process.reset()
        seen_unchanged(elsewhere, seconds=leases.unchanged_seconds() - 3 * LONGEST_GAP_SECONDS)
        view = TurnSubscription(replays.find_for_user(user, elsewhere.uuid))
        view.start(background_loop())
        view.take_blocking(0)
        until(lambda: len(looks) > 5)
        elsewhere.refresh_from_db()
        assert elsewhere.status == "running"
        store_finish.finish_turn(elsewhere.uuid.hex, TurnOutcome(status="finished", text="Hello"))
        assert words(told(view)) == "Hello"


def test_a_view_that_nobody_has_read_is_left_like_any_other(user: Any, finished: Row) -> None:
    view = TurnSubscription(replays.find_for_user(user, finished.uuid))
    view.close()
    view.start(background_loop())
    view.close()
    assert words(told(view)) == ANSWER


def test_the_notifications_of_psycopg_2_are_not_kept_either() -> None:
    connection: Any = SimpleNamespace(notifies=[])
    notifier._discard_notifications(connection)
    for number in range(3):
        connection.notifies.append(number)
    assert list(connection.notifies) == [2]


def test_turns_and_pieces_have_names(elsewhere: Row) -> None:
    assert str(Piece(turn=elsewhere, position=3)) == f"{elsewhere.uuid.hex}, 3"


def test_what_is_missing_in_between_is_waited_for(elsewhere: Row) -> None:
    partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=3, text="lo")])
    rows, positions = {elsewhere.uuid.hex: elsewhere.pk}, {elsewhere.uuid.hex: 0}
    assert partials.read_after(rows, positions) == {}
    partials.write([PartialOutput(turn=elsewhere.uuid.hex, position=0, text="Hell")])
    assert partials.read_after(rows, positions)[elsewhere.uuid.hex].text == "Hello"
    assert partials.text_of(elsewhere) == "Hello"


def test_many_turns_are_written_and_read_at_once(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "ROWS_PER_QUERY", 3)
    rows = [turn_in(None, user=user) for _ in range(10)]
    partials.write([PartialOutput(turn=row.uuid.hex, position=0, text=str(row.pk)) for row in rows])
    keys = {row.uuid.hex: row.pk for row in rows}
    found = partials.read_after(keys, dict.fromkeys(keys, 0))
    assert {turn: one.text for turn, one in found.items()} == {turn: str(row) for turn, row in keys.items()}
    assert Thread.objects.count() == 0


def test_a_turn_that_ended_leaves_no_pieces(user: Any) -> None:
    written = threading.Event()
    with waiting("Hel", written, "lo"):
        turn = begin(user, "Hi")
        until(Piece.objects.exists)
        written.set()
        finish(turn)
    settled()
    assert not Piece.objects.exists()
    assert replays.find_for_user(user, Row.objects.get().uuid).text == "Hello"
