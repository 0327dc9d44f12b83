"""Workers whose threads are greenlets: no answer comes from there, but the log says why, and the site goes on."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running, host

needs.module("gevent")


@pytest.mark.parametrize("path", ["stream", "invoke"])
def test_gevent_is_refused_and_harms_nobody(path: str, fake: Running, tmp_path: Path) -> None:
    arguments = ("--worker-class", "gevent")
    with (
        host("gunicorn-sync", tmp_path, provider=f"{fake.address}/v1", arguments=arguments) as running,
        httpx.Client(base_url=f"{running.address}/api/", headers={"Authorization": f"Token {TOKEN}"}) as client,
    ):
        for _ in range(2):
            asked = client.post(f"chat/{path}/", json={"input": "Hello"})
            assert (asked.status_code, asked.json()["code"]) == (409, "chat_not_configured")
        assert client.get("chat-threads/").json() == []
        log = running.log.read_text()
    assert (
        "The chat cannot work: An event loop cannot run beside the greenlets of gevent: use gunicorn's gthread" in log
    )
    assert "Traceback" not in log
