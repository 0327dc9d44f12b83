"""The client stays with an answer, whatever breaks between it and real servers."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.cutting import Cutter
from tests.acceptance.streams import eventually
from tests.integration.test_documentation import blocks
from tests.processes import TOKEN, Running, fake_service, host, hosts, stats
from waldur_chat.client import (
    AsyncClient,
    Cancelled,
    ChatError,
    Client,
    Delta,
    Event,
    Failed,
    Finished,
    Limits,
    Started,
    Unreachable,
)

WORDS = 20
TEXT = "".join(f"w{number} " for number in range(WORDS))
READERS = 6


def options(fake: Running) -> dict[str, Any]:
    """What hosts are started with: answers go on when their readers leave."""
    return {"provider": f"{fake.address}/v1", "model": "m", "settings": {"FINISH_SECONDS": None}}


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn-gthread"])
def server(
    request: pytest.FixtureRequest, fake: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The host on each server."""
    with host(request.param, tmp_path_factory.mktemp("host"), **options(fake)) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    """A client that nothing stands in the way of."""
    with Client(f"{server.address}/api", TOKEN) as client:
        yield client


def text_of(events: list[Event]) -> str:
    """The text of an answer that has begun and ended once."""
    assert [type(event) for event in events if not isinstance(event, Delta)] in [
        [Started, end] for end in (Finished, Failed, Cancelled)
    ]
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.fixture
def question() -> str:
    """A question that is asked in this test only; its answer takes two seconds."""
    return f"fake:tokens={WORDS}&delay=0.1&id={uuid4()}"


def times_asked(fake: Running, question: str) -> int:
    """How often the model service was asked this, of late."""
    return [one["body"]["messages"][-1]["content"] for one in stats(fake)["requests"]].count(question)


def read(cutter: Cutter, question: str) -> list[Event]:
    """All events of an answer."""
    with Client(cutter.address, TOKEN) as client:
        return list(client.stream(question))


async def aread(cutter: Cutter, question: str) -> list[Event]:
    """See read()."""
    async with AsyncClient(cutter.address, TOKEN) as client:
        return [event async for event in client.stream(question)]


def in_threads(cutters: list[Cutter], question: str) -> list[list[Event]]:
    """What the client reads behind each of these."""
    with ThreadPoolExecutor(len(cutters)) as threads:
        return list(threads.map(read, cutters, repeat(question)))


def on_a_loop(cutters: list[Cutter], question: str) -> list[list[Event]]:
    """See in_threads()."""

    async def gathered() -> list[list[Event]]:
        return await asyncio.gather(*(aread(cutter, question) for cutter in cutters))

    return asyncio.run(gathered())


@pytest.mark.parametrize("reading", [in_threads, on_a_loop])
def test_connections_that_break_at_any_byte_change_nothing(
    server: Running, fake: Running, question: str, reading: Callable[[list[Cutter], str], list[list[Event]]]
) -> None:
    chance = random.Random()
    cuts = [[chance.randrange(1500) for _ in range(3)] for _ in range(READERS)]
    with ExitStack() as stack:
        cutters = [stack.enter_context(Cutter([server.port], some)) for some in cuts]
        answers = reading(cutters, question)
    assert [text_of(events) for events in answers] == [TEXT] * READERS, cuts
    assert [type(events[-1]) for events in answers] == [Finished] * READERS, cuts
    assert times_asked(fake, question) == READERS


def test_a_question_whose_response_is_lost_is_one_turn(server: Running, fake: Running, question: str) -> None:
    with Cutter([server.port], [0, 0]) as cutter, Client(cutter.address, TOKEN) as client:
        assert client.invoke(question).text == TEXT
        assert cutter.connections == 3
    assert times_asked(fake, question) == 1


def test_a_conversation_goes_on(client: Client) -> None:
    first = client.invoke("fake:tokens=2")
    assert (first.text, first.reason, len(first.turn), len(first.thread)) == ("w0 w1 ", "stop", 32, 32)
    assert first.usage
    assert first.stored
    again = client.invoke("Again", thread=first.thread, reload=True)
    edited = client.invoke("fake:tokens=1", thread=first.thread, edit=first.stored.question)
    assert (again.thread, again.text, edited.text) == (first.thread, "w0 w1 ", "w0 ")
    assert again.turn != first.turn


def test_the_lines_of_the_page_work(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    (lines,) = (block for block in blocks("api.md") if "waldur_chat.client" in block)
    here = lines.replace("https://chat.example.com", server.address).replace('token="..."', f'token="{TOKEN}"')
    assert here.count(TOKEN) == here.count(server.address) == 1
    exec(here, {})
    assert "Finished(" in capsys.readouterr().out


def test_an_old_answer_is_come_back_to(client: Client) -> None:
    answer = client.invoke("fake:tokens=5")
    events = list(client.events(answer.turn, after=6))
    assert text_of(events) == answer.text[6:]
    assert text_of(list(client.events(answer.turn))) == answer.text


def test_an_answer_is_left_and_come_back_to(client: Client, question: str) -> None:
    with client.stream(question) as stream:
        begun = next(event.text for event in stream if isinstance(event, Delta))
        turn, position = stream.turn, stream.position
    assert begun + text_of(list(client.events(turn, after=position))) == TEXT


def test_an_answer_is_stopped(client: Client, fake: Running) -> None:
    with client.stream("fake:tokens=100&delay=0.2") as stream:
        for event in stream:
            if isinstance(event, Delta) and stream.position < 4:
                stream.cancel()
    assert isinstance(event, Cancelled)
    assert eventually(lambda: stats(fake)["answering"] == 0)


def test_an_answer_is_stopped_by_its_conversation(client: Client) -> None:
    with client.stream("fake:tokens=100&delay=0.2") as stream:
        client.cancel(stream.thread)
        *_, last = stream
    assert isinstance(last, Cancelled)


def test_an_answer_that_fails_says_why(client: Client) -> None:
    with pytest.raises(ChatError) as failed:
        client.invoke("fake:tokens=5&fault=2")
    assert (failed.value.code, failed.value.status, failed.value.retryable) == ("provider_failed", 502, True)


def test_a_refusal_says_why(server: Running, client: Client) -> None:
    with Client(f"{server.address}/api", "wrong") as stranger, pytest.raises(ChatError) as unknown:
        stranger.invoke("Hello")
    assert (unknown.value.status, unknown.value.code) == (401, "authentication_failed")
    with pytest.raises(ChatError) as empty:
        client.invoke(" ")
    assert (empty.value.status, empty.value.code) == (400, "invalid")
    with pytest.raises(ChatError) as absent:
        list(client.events("0" * 32))
    assert (absent.value.status, absent.value.code) == (404, "turn_not_found")


def test_one_key_is_one_question(client: Client, fake: Running, question: str) -> None:
    first, second = (client.invoke(question, key=question) for _ in range(2))
    assert (first.turn, first.text) == (second.turn, second.text)
    with pytest.raises(ChatError) as other:
        client.invoke("fake:tokens=3", key=question)
    assert (other.value.status, other.value.code) == (422, "idempotency_key_reused")
    assert times_asked(fake, question) == 1


def test_where_nothing_is_kept_a_break_is_the_end(fake: Running, tmp_path: Path) -> None:
    with (
        host("gunicorn-gthread", tmp_path, **{**options(fake), "settings": {"STORAGE": False}}) as server,
        Cutter([server.port], [900]) as cutter,
        Client(cutter.address, TOKEN) as client,
    ):
        with pytest.raises(Unreachable):
            client.invoke("fake:tokens=100&delay=0.05")
        assert eventually(lambda: stats(fake)["answering"] == 0)
        with client.stream("fake:tokens=100&delay=0.2") as stream:
            assert (len(stream.turn), stream.thread) == (32, "")
            stream.cancel()
            assert list(stream) == [Cancelled(usage=None)]
        assert eventually(lambda: stats(fake)["answering"] == 0)


def test_where_nobody_listens_patience_ends(tmp_path: Path) -> None:
    with Cutter([]) as cutter, Client(cutter.address, TOKEN, limits=Limits(patience_seconds=1.0)) as client:
        with pytest.raises(Unreachable):
            client.invoke("Hello")
        assert cutter.connections >= 2


@pytest.fixture(scope="module")
def two(postgresql_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[Running]]]:
    """A model service, and two hosts on one database."""
    directory = tmp_path_factory.mktemp("two")
    with fake_service(directory) as fake:
        servers = ["uvicorn", "gunicorn-gthread"]
        with hosts(servers, directory, database=postgresql_address, **options(fake)) as running:
            yield fake, running


def test_an_answer_goes_on_from_another_process(two: tuple[Running, list[Running]], question: str) -> None:
    fake, running = two
    with Cutter([one.port for one in running], [1000, 800, 800]) as cutter:
        assert text_of(read(cutter, question)) == TEXT
        assert cutter.connections == 4
    assert times_asked(fake, question) == 1


@pytest.fixture
def victim(two: tuple[Running, list[Running]], postgresql_address: str, tmp_path: Path) -> Iterator[Running]:
    """A third host, which is about to die."""
    with hosts(["uvicorn"], tmp_path, database=postgresql_address, **options(two[0])) as (running,):
        yield running


def test_an_answer_whose_process_is_killed_ends(two: tuple[Running, list[Running]], victim: Running) -> None:
    ports = [one.port for one in (victim, *two[1])]
    with Cutter(ports) as cutter, Client(cutter.address, TOKEN) as client:
        events: list[Event] = []
        with client.stream("fake:tokens=100&delay=0.1") as stream:
            for event in stream:
                events.append(event)
                if stream.position > 10:
                    victim.process.kill()
        kept = text_of(list(client.events(stream.turn)))
    text = text_of(events)
    assert "".join(f"w{number} " for number in range(100)).startswith(text)
    assert text.startswith(kept)
    assert isinstance(event, Failed)
    assert (event.error.code, event.error.retryable) == ("interrupted", True)


def test_a_question_whose_process_is_killed_is_not_asked_twice(
    two: tuple[Running, list[Running]], victim: Running
) -> None:
    question = f"fake:tokens=5&first=30&id={uuid4()}"
    ports = [one.port for one in (victim, *two[1])]
    with Cutter(ports) as cutter, Client(cutter.address, TOKEN) as client, ThreadPoolExecutor() as threads:
        asked = threads.submit(client.invoke, question)
        assert eventually(lambda: times_asked(two[0], question) == 1)
        victim.process.kill()
        with pytest.raises(ChatError) as interrupted:
            asked.result()
    assert (interrupted.value.code, interrupted.value.status) == ("interrupted", 503)
    assert times_asked(two[0], question) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_reader_whose_process_ends_reads_on(
    two: tuple[Running, list[Running]], victim: Running, question: str, how: signal.Signals
) -> None:
    writer, other = two[1]
    with Cutter([victim.port, other.port]) as cutter, Client(cutter.address, TOKEN) as client:
        with Client(f"{writer.address}/api", TOKEN) as near, near.stream(question) as stream:
            turn = stream.turn
        events: list[Event] = []
        is_ending = False
        with client.events(turn) as stream:
            for event in stream:
                events.append(event)
                if stream.position > 10 and not is_ending:  # A slow machine may read many words at once.
                    victim.process.send_signal(how)
                    is_ending = True
        assert cutter.connections == 2
    assert (text_of(events), type(event)) == (TEXT, Finished)
