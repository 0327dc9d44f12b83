"""uWSGI, with the settings that the documentation gives: it streams, notices who leaves, and lets answers finish."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.acceptance import needs
from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import ROOT, Running, host, stats

needs.module("pyuwsgi")

Serving = Callable[[str], AbstractContextManager[Running]]


@pytest.fixture
def serving(fake: Running, tmp_path: Path) -> Serving:
    """The host project in front of a model that answers so."""
    (settings,) = re.findall(r"```ini\n(.*?)```", (ROOT / "docs" / "deployment.md").read_text(), re.DOTALL)
    ini = tmp_path / "uwsgi.ini"
    ini.write_text(settings.replace("mysite.wsgi", "tests.host.wsgi").replace("processes = 4", "processes = 2"))
    return lambda model: host(
        "uwsgi", tmp_path, model=model, provider=f"{fake.address}/v1", arguments=("--ini", str(ini))
    )


@pytest.fixture
def answering(fake: Running) -> Iterator[Callable[[], int]]:
    """How many answers the model is writing; none in the end."""

    def count() -> int:
        return int(stats(fake)["answering"])

    yield count
    assert eventually(lambda: count() == 0)


def test_the_first_piece_arrives_before_the_last_is_produced(serving: Serving, answering: Callable[[], int]) -> None:
    with serving("tokens=5&delay=0.2") as running:
        with open_stream(running) as connection:
            read_until(connection, b"w0")
            assert answering() == 1
            assert b"w4" in read_until(connection, b"event: end")
        with open_stream(running, "application/json", "/api/chat/invoke/") as connection:
            assert b'"w0 w1 w2 w3 w4 "' in read_until(connection, b'w4 "')
        assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("path", ["stream", "invoke"])
def test_who_leaves_while_the_model_is_silent_is_noticed_before_a_heartbeat(
    serving: Serving, fake: Running, answering: Callable[[], int], path: str
) -> None:
    with serving("delay=60") as running:
        connection = open_stream(running, "*/*", f"/api/chat/{path}/")
        assert eventually(lambda: answering() == 1)
        at = time.time()
        connection.close()
        assert eventually(lambda: answering() == 0)
        assert stats(fake)["left"][-1] - at < 3


def test_a_running_answer_finishes_when_the_server_is_told_to_stop(
    serving: Serving, answering: Callable[[], int]
) -> None:
    with serving("tokens=20&delay=0.1") as running:
        with open_stream(running) as connection:
            begun = read_until(connection, b"w0 ")
            running.process.send_signal(signal.SIGTERM)
            assert b"event: end" in begun + read_until(connection, b"event: end")
        assert running.process.wait(20) == 0
