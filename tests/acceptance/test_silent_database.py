"""The database's connections are lost without a word, as in a failover: new ones work, and no answer is lost."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.faults.asking import Answer, ask
from tests.acceptance.faults.relay import Relay
from tests.acceptance.streams import eventually
from tests.processes import Running, fake_service, host, stats

SLOWLY = "fake:tokens=12&delay=0.2"


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
def test_answers_are_kept_when_connections_of_the_database_fall_silent(
    server: str, tmp_path: Path, postgresql_address: str, postgresql: object
) -> None:
    address = urlsplit(postgresql_address)
    relay = Relay(str(address.hostname), address.port or 5432)
    database = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{relay.port}").geturl()
    with fake_service(tmp_path) as fake:
        options = {"base_url": f"{fake.address}/v1", "api_key": "sk-test", "model": "usual"}
        entry = {"BACKEND": "tests.fake.provider.AddressedProvider", "OPTIONS": options}
        settings = {"STORAGE": True, "PROVIDERS": {"default": entry}}
        with host(server, tmp_path, settings=settings, database=database) as running:
            assert _is_kept(ask(running, "stream", "fake:"))
            hushed = threading.Thread(target=_hush_amid, args=(relay, fake))
            hushed.start()
            amid = ask(running, "stream", SLOWLY)
            hushed.join()
            assert _is_kept(amid)
            assert amid.seconds < 12
            after = [ask(running, "stream", "fake:") for _ in range(3)]
            assert all(_is_kept(answer) for answer in after)
            assert all(answer.seconds < 3 for answer in after)
            assert "another thread replaces it" in running.log.read_text()
    relay.cut()


def _hush_amid(relay: Relay, fake: Running) -> None:
    """Let the connections fall silent while an answer is being written."""
    assert eventually(lambda: stats(fake)["answering"] == 1)
    threading.Event().wait(1.0)  # So that something is written down, by a connection that is kept.
    relay.hush()


def _is_kept(answer: Answer) -> bool:
    """Whether its reader was told where it is stored."""
    return answer.told == "200" and b"assistant_message_uuid" in answer.body
