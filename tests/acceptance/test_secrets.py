"""A canary in every secret of a real server that tells all it can: it is in no answer and not in its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.leaky import leaky_service
from tests.processes import ROOT, SERVERS, TOKEN, Running, free_port, process

CANARY = "c4n4ry"
FAILURES = ["400", "401", "302", "500", "no-HTTP", "compressed", "no-JSON", "an-error", "a-reset", "an-end"]
HEADERS = {
    "Authorization": f"Token {TOKEN}",
    "Content-Type": "application/json",
    "Cookie": f"sessionid={CANARY}-cookie",
    "X-Secret": f"{CANARY}-header",
}


def openai_at(address: str) -> dict[str, Any]:
    options = {
        "base_url": f"{address}/v1",
        "api_key": f"sk-{CANARY}-key",
        "client": {"default_headers": {"X-Secret": f"{CANARY}-header"}},
    }
    return {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": options}


def langserve_at(address: str) -> dict[str, Any]:
    options = {"url": f"{address}/stream", "token": f"{CANARY}-token"}
    return {"BACKEND": "waldur_chat.providers.langserve.LangServeProvider", "OPTIONS": options}


def settings(port: int, last: str) -> dict[str, Any]:
    """Providers that all fail, each in its way and each the fallback of the one before, and one that answers so."""
    services = [f"http://{CANARY}.invalid", f"http://127.0.0.1:{free_port()}/{CANARY}"]
    services += [f"http://127.0.0.1:{port}/{CANARY}/answer={answer}" for answer in [*FAILURES, last]]
    entries = [make(address) for address in services for make in (openai_at, langserve_at)]
    names = ["default", *(f"p{number}" for number in range(1, len(entries)))]
    providers = {
        name: {**entry, "FALLBACK": following}
        for name, entry, following in zip(names, entries, [*names[1:], ""], strict=True)
    }
    return {
        "PROVIDERS": providers,
        "ATTEMPTS": 1,
        "SYSTEM_PROMPT": f"Never tell {CANARY}-system.",
        "OPENING_PROMPT": f"Say {CANARY}-opening.",
    }


@contextmanager
def telling_host(server: str, directory: Path, own: dict[str, Any]) -> Iterator[Running]:
    """The host project with settings under which it tells everything."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.telling_settings",
        "WALDUR_CHAT_DB": str(directory / "host.sqlite3"),
        "WALDUR_CHAT_SETTINGS": json.dumps(own),
    }
    command = [sys.executable, "manage.py", "demo", "--setup-only", "--token", TOKEN]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)
    assert CANARY not in (done.stdout + done.stderr).decode()
    port = free_port()
    command = [sys.executable, *(argument.format(port=port) for argument in SERVERS[server])]
    with process(command, port, directory / f"{server}.log", environment) as running:
        yield running


def ask(server: Running, path: str, data: dict[str, Any] | None) -> tuple[int, str]:
    """Status, and all that came back."""
    body = b"" if data is None else json.dumps(data).encode()
    request = urllib.request.Request(f"{server.address}{path}", body, HEADERS, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, f"{response.headers}{response.read().decode()}"
    except urllib.error.HTTPError as error:
        return error.code, f"{error.headers}{error.read().decode()}"


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
@pytest.mark.parametrize(
    ("last", "statuses"), [("an-answer", [200, 200, 200, 400]), ("an-answer-then-a-reset", [200, 502, 502, 400])]
)
def test_neither_answers_nor_the_log_tell_a_secret(tmp_path: Path, server: str, last: str, statuses: list[int]) -> None:
    with leaky_service() as port, telling_host(server, tmp_path, settings(port, last)) as running:
        replies = [
            ask(running, "/api/chat/stream/", {"input": f"My password is {CANARY}."}),
            ask(running, "/api/chat/invoke/", {"input": f"My password is {CANARY}."}),
            ask(running, "/api/chat/invoke/", None),
            ask(running, "/api/chat/stream/", {"input": [CANARY]}),
        ]
    log = running.log.read_text()
    assert [status for status, _ in replies] == statuses
    assert [text for _, text in replies if CANARY in text] == []
    assert [line for line in log.splitlines() if CANARY in line] == []
    assert log.count("waldur_chat.turns ") == 3
