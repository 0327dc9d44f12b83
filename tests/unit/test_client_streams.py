"""Both clients carry what the reader decides: in threads and on event loops, and close what they open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.unit.aio import run
from tests.unit.replies import (
    FINISHED,
    HEADERS,
    STARTED,
    THREAD,
    TURN,
    Reply,
    Script,
    Silence,
    async_http,
    body_of,
    encoded,
    plain,
    rest,
    streamed,
    sync_http,
)
from waldur_chat.client import (
    Answer,
    AsyncClient,
    Cancelled,
    ChatError,
    Client,
    Delta,
    Event,
    Limits,
    Started,
    Unreachable,
)

ADDRESS = "https://chat.example.com/api"
ANSWER = [STARTED, Delta(text="Hel"), Delta(text="lo"), FINISHED]
ASK = ("POST", "/api/chat/stream/")
REJOIN = ("GET", f"/api/chat/turns/{TURN}/events/")
CANCEL = ("POST", f"/api/chat-threads/{THREAD}/cancel/")
UNKEPT = {"content-type": "text/event-stream", "x-chat-turn": TURN}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waldur_chat.client.retry.MAX_DELAY_SECONDS", 0.0)


class InThreads:
    """Calls the client of `sync`."""

    def __init__(self, script: Script, limits: Limits | None = None) -> None:
        self._script, self._limits = script, limits

    def _with(self, act: Callable[[Client], Any]) -> Any:
        with sync_http(self._script) as http, Client(ADDRESS, "t", limits=self._limits, http=http) as client:
            return act(client)

    def invoke(self) -> Answer:
        return self._with(lambda client: client.invoke("Hi"))

    def stream(self) -> list[Event]:
        return self._with(lambda client: list(client.stream("Hi")))

    def events(self, after: int) -> list[Event]:
        return self._with(lambda client: list(client.events(UUID(TURN), after=after)))

    def cancel(self) -> None:
        self._with(lambda client: client.cancel(THREAD))

    def leave(self, after: type[Event] | None = None) -> tuple[str, str, int]:
        def act(client: Client) -> tuple[str, str, int]:
            with client.stream("Hi") as stream:
                while after and not isinstance(next(stream), after):
                    pass
                return stream.turn, stream.thread, stream.position

        return self._with(act)

    def stop(self, after: type[Event]) -> list[Event]:
        def act(client: Client) -> list[Event]:
            read: list[Event] = []
            with client.stream("Hi") as stream:
                for event in stream:
                    read.append(event)
                    if isinstance(event, after):
                        stream.cancel()
            return read

        return self._with(act)

    def stop_unread(self) -> list[Event]:
        def act(client: Client) -> list[Event]:
            stream = client.events(TURN)
            stream.cancel()
            return list(stream)

        return self._with(act)


class OnLoops:
    """Calls the client of `aio`."""

    def __init__(self, script: Script, limits: Limits | None = None) -> None:
        self._script, self._limits = script, limits

    def _with(self, act: Callable[[AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
        async def running() -> Any:
            async with (
                async_http(self._script) as http,
                AsyncClient(ADDRESS, "t", limits=self._limits, http=http) as client,
            ):
                return await act(client)

        return run(running())

    def invoke(self) -> Answer:
        return self._with(lambda client: client.invoke("Hi"))

    def stream(self) -> list[Event]:
        return self._with(lambda client: everything(client.stream("Hi")))

    def events(self, after: int) -> list[Event]:
        return self._with(lambda client: everything(client.events(UUID(TURN), after=after)))

    def cancel(self) -> None:
        self._with(lambda client: client.cancel(THREAD))

    def leave(self, after: type[Event] | None = None) -> tuple[str, str, int]:
        async def act(client: AsyncClient) -> tuple[str, str, int]:
            async with client.stream("Hi") as stream:
                while after and not isinstance(await anext(stream), after):
                    pass
                return stream.turn, stream.thread, stream.position

        return self._with(act)

    def stop(self, after: type[Event]) -> list[Event]:
        async def act(client: AsyncClient) -> list[Event]:
            read: list[Event] = []
            async with client.stream("Hi") as stream:
                async for event in stream:
                    read.append(event)
                    if isinstance(event, after):
                        await stream.cancel()
            return read

        return self._with(act)

    def stop_unread(self) -> list[Event]:
        async def act(client: AsyncClient) -> list[Event]:
            stream = client.events(TURN)
            await stream.cancel()
            return await everything(stream)

        return self._with(act)


async def everything(stream: Any) -> list[Event]:
    """All events."""
    return [event async for event in stream]


Colour = type[InThreads] | type[OnLoops]


@pytest.fixture(params=[InThreads, OnLoops], ids=["sync", "aio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    return request.param


def test_an_answer_is_invoked(colour: Colour) -> None:
    script = Script([streamed(encoded(ANSWER))])
    answer = colour(script).invoke()
    assert (answer.text, answer.reason, answer.turn, answer.thread) == ("Hello", "stop", TURN, THREAD)
    assert script.asked == [ASK]
    assert script.requests[0].headers["Accept"] == "text/event-stream"


def test_an_answer_that_broke_goes_on(colour: Colour) -> None:
    script = Script(
        [streamed(encoded(ANSWER)[:110], breaks=True), streamed(rest(ANSWER, 0)[:10]), streamed(rest(ANSWER, 0))]
    )
    assert [event for event in colour(script).stream() if not isinstance(event, Delta)] == [STARTED, FINISHED]
    assert script.asked == [ASK, REJOIN, REJOIN]


def test_a_question_whose_response_was_lost_is_asked_with_the_same_key(colour: Colour) -> None:
    script = Script([httpx.ReadError("gone"), plain(502), streamed(encoded(ANSWER))])
    assert colour(script).invoke().text == "Hello"
    assert len({request.headers["Idempotency-Key"] for request in script.requests}) == 1


def test_a_refusal_is_raised(colour: Colour) -> None:
    refusal = plain(429, b'{"detail": "Wait.", "code": "too_many_turns"}', retry_after="5")
    with pytest.raises(ChatError, match=r"Wait\.") as refused:
        colour(Script([refusal])).invoke()
    assert (refused.value.status, refused.value.retry_after, refused.value.retryable) == (429, 5.0, True)
    assert body_of(refusal).is_closed


def test_patience_ends(colour: Colour) -> None:
    with pytest.raises(Unreachable, match="gone"):
        colour(Script([httpx.ConnectError("gone")] * 2), Limits(patience_seconds=-1.0)).invoke()


def test_who_comes_back_gets_the_rest(colour: Colour) -> None:
    assert colour(Script([streamed(rest(ANSWER, 3))])).events(3) == [STARTED, Delta(text="lo"), FINISHED]
    assert colour(Script([plain(204)])).events(5) == []


def test_who_leaves_closes_the_connection(colour: Colour) -> None:
    reply = streamed(encoded(ANSWER))
    assert colour(Script([reply])).leave() == (TURN, THREAD, 0)
    assert body_of(reply).is_closed


def test_the_position_is_that_of_what_was_read(colour: Colour) -> None:
    assert colour(Script([streamed(encoded(ANSWER))])).leave(after=Delta)[-1] == len("Hel")


def test_who_has_read_all_has_closed_the_connection(colour: Colour) -> None:
    reply = streamed(encoded(ANSWER))
    colour(Script([reply])).stream()
    assert body_of(reply).is_closed


def test_a_turn_is_stopped(colour: Colour) -> None:
    pieces = [encoded(ANSWER[:2]), encoded([Cancelled(usage=None)])]
    script = Script([streamed(*pieces), plain(200)])
    assert colour(script).stop(after=Delta) == [*ANSWER[:2], Cancelled(usage=None)]
    assert script.asked == [ASK, CANCEL]


def test_a_turn_that_has_ended_is_not_stopped(colour: Colour) -> None:
    script = Script([streamed(encoded(ANSWER))])
    assert colour(script).stop(after=type(FINISHED)) == ANSWER
    assert script.asked == [ASK]


def test_a_turn_that_is_not_kept_is_stopped_by_leaving(colour: Colour) -> None:
    reply = streamed(encoded([Started(turn=TURN)]), headers=UNKEPT)
    assert colour(Script([reply])).stop(after=Started) == [Started(turn=TURN), Cancelled(usage=None)]
    assert body_of(reply).is_closed


def test_a_turn_is_found_before_it_is_stopped(colour: Colour) -> None:
    script = Script([streamed(rest(ANSWER, 0)), plain(200)])
    colour(script).stop_unread()
    assert script.asked == [REJOIN, CANCEL]


@pytest.mark.parametrize("replies", [[plain(200)], [plain(503), httpx.ReadError("gone"), plain(200)]])
def test_a_conversation_is_stopped(colour: Colour, replies: list[Reply]) -> None:
    script = Script(replies)
    colour(script).cancel()
    assert script.asked == [CANCEL] * len(replies)


def test_a_conversation_of_somebody_else_is_not_stopped(colour: Colour) -> None:
    with pytest.raises(ChatError) as refused:
        colour(Script([plain(404, b'{"detail": "No.", "code": "not_found"}')])).cancel()
    assert refused.value.status == 404


def test_a_task_that_is_cancelled_closes_the_connection() -> None:
    body = Silence()

    async def act() -> None:
        async with async_http(Script([(200, HEADERS, body)])) as http:
            reading = asyncio.ensure_future(AsyncClient(ADDRESS, http=http).invoke("Hi"))
            await asyncio.sleep(0.05)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    run(act())
    assert body.is_closed


def test_a_client_closes_what_is_its_own() -> None:
    client = Client(ADDRESS)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.invoke("Hi")

    async def act() -> None:
        async with AsyncClient(ADDRESS) as other:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            await other.invoke("Hi")

    run(act())
