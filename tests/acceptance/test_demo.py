"""The demo as a newcomer starts it: it serves, and the three calls that it prints work as they stand there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.needs import program
from tests.processes import Running, free_port, process

pytestmark = pytest.mark.core

ENVIRONMENT = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "DJANGO_SETTINGS_MODULE": "tests.demo.settings"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`manage.py demo`."""
    directory, port = tmp_path_factory.mktemp("demo"), free_port()
    command = [sys.executable, "manage.py", "demo", "--bind", f"127.0.0.1:{port}"]
    environment = {**ENVIRONMENT, "WALDUR_CHAT_DB": str(directory / "demo.sqlite3")}
    with process(command, port, directory / "demo.log", environment) as running:
        yield running


def printed_call(demo: Running, name: str) -> str:
    """One of the calls that were printed."""
    calls = demo.log.read_text().split("another terminal:\n\n")[1].split("\n\n")
    return next(call for call in calls if call.startswith(f"{name} "))


@pytest.mark.parametrize("name", ["curl", "http", "python3"])
def test_a_printed_call_works_as_it_stands(demo: Running, name: str, tmp_path: Path) -> None:
    beside = f"{Path(program(name)).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": beside, "HTTPIE_CONFIG_DIR": str(tmp_path)}
    terminal, keyboard = pty.openpty()  # HTTPie takes any other standard input for the request's body.
    done = subprocess.run(
        ["bash", "-c", printed_call(demo, name)],
        stdin=keyboard,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    os.close(terminal)
    os.close(keyboard)
    assert "offline" in done.stdout


@pytest.mark.parametrize("path", ["/", "/api/docs/", "/api/schema/", "/static/waldur_chat/main.js"])
def test_what_is_printed_is_served(demo: Running, path: str) -> None:
    with urllib.request.urlopen(f"{demo.address}{path}") as response:
        assert response.status == 200


def test_the_documentation_needs_no_other_host(demo: Running) -> None:
    with urllib.request.urlopen(f"{demo.address}/api/docs/") as response:
        page = response.read().decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page.replace("https://www.w3.org", "")
