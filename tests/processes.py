"""Real processes for tests: the fake model service, and the host project on each server."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from waldur_chat.providers.transport.choice import CERTIFICATE_VARIABLES

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "0123456789abcdef0123456789abcdef01234567"

SERVERS: dict[str, list[str]] = {
    "uvicorn": ["-m", "uvicorn", "tests.host.asgi:application", "--port", "{port}", "--log-level", "warning"],
    "gunicorn-sync": ["-m", "gunicorn", "tests.host.wsgi:application", "--bind", "127.0.0.1:{port}"],
    "gunicorn-gthread": [
        "-m", "gunicorn", "tests.host.wsgi:application", "--bind", "127.0.0.1:{port}",
        "--worker-class", "gthread", "--threads", "16",
    ],
    "runserver": ["manage.py", "runserver", "127.0.0.1:{port}", "--noreload", "--nostatic"],
}  # fmt: skip

FURTHER_SERVERS = {
    "gunicorn-asgi": [
        "-m", "gunicorn", "tests.host.asgi:application", "--worker-class", "asgi", "--bind", "127.0.0.1:{port}",
    ],
    "uwsgi": ["-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "127.0.0.1:{port}"],
    "daphne": ["-m", "daphne", "--port", "{port}", "tests.host.asgi:application"],
    "granian": ["-m", "granian", "--interface", "asgi", "--port", "{port}", "tests.host.asgi:application"],
    "hypercorn": ["-m", "hypercorn", "--bind", "127.0.0.1:{port}", "tests.host.asgi:application"],
}  # fmt: skip
"""Those that only the requirements of the acceptance tests bring, or the newest releases."""


@dataclass(kw_only=True)
class Running:
    """A process that serves HTTP on a port, and where its output goes."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"


def free_port() -> int:
    """A port that nobody listens on, and that no other run of tests is likely to be given before it is used.

    It lies below those that systems give away by themselves, to clients too. Its chance is the system's own: pytest
    seeds `random`, so that all workers of a run would try the same ports.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextmanager
def fake_service(directory: Path, certificate: Path | None = None) -> Iterator[Running]:
    """The fake model service; with a file that holds a certificate and its key it speaks TLS."""
    port = free_port()
    command = [sys.executable, "-m", "tests.fake.service", "--port", str(port)]
    if certificate:
        command += ["--certificate", str(certificate)]
    with process(command, port, directory / "fake.log", {}) as running:
        yield running


@contextmanager
def host(
    server: str,
    directory: Path,
    *,
    model: str = "",
    provider: str = "",
    settings: Mapping[str, Any] | None = None,
    database: str = "",
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    log: Path | None = None,
    is_set_up: bool = False,
    port: int = 0,
) -> Iterator[Running]:
    """The host project on a server. `provider` is the model service's base URL; `database` is a new file by default.

    `environment` adds to that of the processes, `arguments` to those of the server; `log` is where its output goes, by
    default a file. `is_set_up` says that another host has set the database up; without a `port` it has any free one.
    Unless the settings say so, titles are not asked for and answers end with their readers, since many tests count what
    the model service is asked and what is left.
    """
    port = port or free_port()
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.host.settings",
        "WALDUR_CHAT_DB": database or str(directory / "host.sqlite3"),
        "WALDUR_CHAT_SETTINGS": json.dumps({"TITLES": False, "FINISH_SECONDS": 0, **(settings or {})}),
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "sk-test" if provider else "",
        "WALDUR_CHAT_MODEL": model,
        **(environment or {}),
    }
    if not is_set_up:
        set_up(environment)
    serving = {**SERVERS, **FURTHER_SERVERS}[server]
    command = [sys.executable, *(argument.format(port=port) for argument in serving), *arguments]
    with process(command, port, log or directory / f"{server}.log", environment) as running:
        yield running


@contextmanager
def hosts(servers: Sequence[str], directory: Path, *, database: str, **options: Any) -> Iterator[list[Running]]:
    """The host project several times on one database, started at once. See `host()`."""
    set_up({"DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": database})
    with ExitStack() as stack, ThreadPoolExecutor(len(servers)) as threads:

        def start(server: str, number: int) -> Running:
            log = directory / f"host-{number}.log"
            return stack.enter_context(host(server, directory, database=database, log=log, is_set_up=True, **options))

        yield list(threads.map(start, servers, count()))


def set_up(environment: Mapping[str, str]) -> None:
    """Migrate the database, and make the demo's user with his token; a new file is a copy of one that was set up."""
    file, settings = Path(environment["WALDUR_CHAT_DB"]), environment["DJANGO_SETTINGS_MODULE"]
    if "//" in environment["WALDUR_CHAT_DB"] or file.exists():
        _set_up(environment)
        return
    if settings not in _templates:
        directory = Path(mkdtemp())
        atexit.register(shutil.rmtree, directory)
        _templates[settings] = directory / "template.sqlite3"
        _set_up({**environment, "WALDUR_CHAT_DB": str(_templates[settings])})
    shutil.copyfile(_templates[settings], file)


_templates: dict[str, Path] = {}
"""Database files as they are at the beginning, by the settings that they were made with."""


def _set_up(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "manage.py", "demo", "--setup-only", "--token", TOKEN]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)


def let_go(service: Running) -> None:
    """Let all answers of the fake service that wait go on."""
    urllib.request.urlopen(f"{service.address}/go").close()


def stats(service: Running) -> dict[str, Any]:
    """What the fake service saw so far."""
    with urllib.request.urlopen(f"{service.address}/stats") as response:
        return dict(json.load(response))


def _machine() -> dict[str, str]:
    """The environment without what chooses the transport: certificates of the machine would let the SDK be imported."""
    return {name: value for name, value in os.environ.items() if name not in CERTIFICATE_VARIABLES}


@contextmanager
def process(command: list[str], port: int, log: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """A process, from the time it serves on the port to the end of the context."""
    with log.open("wb") as output:
        started = subprocess.Popen(command, cwd=ROOT, env={**_machine(), **environment}, stdout=output, stderr=output)
    try:
        _wait_for(port, started, log)
        yield Running(process=started, port=port, log=log)
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    said = log.read_text() if log.is_file() else "(Its output is lost.)"
    raise RuntimeError(f"The process did not begin to serve:\n{said}")
