"""The servers that are compared: ours, and what people would use instead, each in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.streams import family
from tests.processes import ROOT, TOKEN, Running, free_port, process, set_up

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = ROOT / ".venv-peers"
CORES = os.sched_getaffinity(0)
SERVER_CORE, OTHER_CORE = 0, 1
"""That of the server that is measured, and that of the model service and of its clients."""

UVICORN = ["-m", "uvicorn", "--port", "{port}", "--log-level", "warning"]
GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "64"]
PACKAGES = {
    "starlette": ["starlette", "aiohttp", "httpx", "uvicorn[standard]"],
    "django": ["django", "djangorestframework", "openai", "aiohttp", "uvicorn[standard]", "gunicorn"],
    "langserve": ["langserve", "langchain-openai", "fastapi", "sse-starlette", "openai", "uvicorn[standard]"],
    "litellm": ["litellm[proxy]"],
    "plain": ["-e", str(ROOT), "uvicorn"],
    "granian": ["-e", f"{ROOT}[fast]", "granian"],
}
"""What has an environment of its own; without one, a server runs in that of the benchmark."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that answers questions. `body` makes the body of a request; `prepare` is run once, before the start."""

    command: list[str]
    packages: str = ""
    path: str = "/api/chat/stream/"
    body: Callable[[str], dict[str, Any]] = lambda question: {"input": question}
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = None
    """Of ours."""
    has_postgresql: bool = False
    prepare: list[str] = field(default_factory=list)


def messages(question: str) -> dict[str, Any]:
    """The body of a request to chat completions."""
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}


def _ours(
    server: str, *, stores: bool = False, postgresql: bool = False, turns: int | None = None, **options: Any
) -> Server:
    settings = {"STORAGE": stores, "TITLES": False, "ANSWER_MAX_LENGTH": 10_000_000}
    settings |= {"TURNS_PER_PROCESS": turns, "QUEUE_LENGTH": 0}
    return Server(command=COMMANDS[server], settings=settings, has_postgresql=postgresql, **options)


def _peer(application: str, packages: str, **options: Any) -> Server:
    options = {"path": "/stream", **options}
    return Server(command=[*UVICORN, "--app-dir", str(PEERS), application], packages=packages, **options)


COMMANDS = {
    "uvicorn": [*UVICORN, "tests.host.asgi:application"],
    "granian": [
        "-m", "granian", "--interface", "asgi", "--port", "{port}", "--no-ws", "--backpressure", "5000",
        "tests.host.asgi:application",
    ],
    "gunicorn": [*GUNICORN, "tests.host.wsgi:application"],
}  # fmt: skip

_django = {"packages": "django", "prepare": ["-m", "django_host", TOKEN], "environment": {"PYTHONPATH": str(PEERS)}}
_stock = {**_django, "environment": {"PYTHONPATH": str(PEERS), "BARE_STOCK": "1"}}

HOST = "Django ASGI + DRF, no model"
"""What the host pays for a request, whatever it asks: its middleware, its token, DRF."""

KNOWN = {
    "ours": _ours("uvicorn"),
    "ours, on PostgreSQL": _ours("uvicorn", postgresql=True),
    "ours, stored": _ours("uvicorn", postgresql=True, stores=True),
    "ours, without the extra": _ours("uvicorn", packages="plain"),
    "ours, granian": _ours("granian", packages="granian"),
    "ours, gunicorn gthread": _ours("gunicorn"),
    "ours, full": _ours("uvicorn", turns=1),
    "ours, full, gunicorn gthread": _ours("gunicorn", turns=1),
    "Starlette + aiohttp": _peer("starlette_aiohttp:app", "starlette"),
    "bare Django + aiohttp, lean": _peer("django_bare:asgi", **_django),
    "bare Django + aiohttp, stock": _peer("django_bare:asgi", **_stock),
    "Starlette + httpx lines": _peer("starlette_httpx:app", "starlette"),
    "FastAPI + SDK": _peer("fastapi_sdk:app", "langserve"),
    "Django ASGI + DRF + SDK": _peer("django_sdk:asgi", **_django),
    HOST: _peer("django_sdk:asgi", **{**_django, "path": "/nothing"}),
    "DRF + SDK, gunicorn gthread": Server(command=[*GUNICORN, "django_sdk:wsgi"], path="/stream", **_django),
    "LangServe": _peer("langserve_app:app", "langserve", path="/chat/stream"),
    "LiteLLM proxy": Server(
        command=["bin/litellm", "--config", str(PEERS / "litellm.yaml"), "--port", "{port}"],
        packages="litellm",
        path="/v1/chat/completions",
        body=messages,
        environment={
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "true",
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class Started:
    """A server that runs."""

    name: str
    server: Server
    running: Running

    def request(self, question: str, path: str = "") -> bytes:
        """A request that asks this, on a connection of its own."""
        return request(path or self.server.path, self.server.body(question))

    def cpu_seconds(self) -> float:
        """The processor time that it and its children have used so far."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in family(self.running.process.pid))

    def memory(self) -> int:
        """The bytes that it and its children hold, shared ones divided."""
        return sum(_pss(pid) for pid in family(self.running.process.pid))


def request(path: str, body: Mapping[str, Any]) -> bytes:
    """A POST on a connection of its own."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\nConnection: close\r\n"
        f"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@contextmanager
def started(names: list[str], source: Running, directory: Path, postgresql: str = "") -> Iterator[list[Started]]:
    """These servers, all on one core; `postgresql` is the address of a database for those that need one."""
    with ExitStack() as stack:
        found = []
        for name in names:
            server = KNOWN[name]
            database = postgresql if server.has_postgresql else str(directory / f"{len(found)}.sqlite3")
            environment = {"PEER_DB": database, "OPENAI_BASE_URL": f"{source.address}/v1", "OPENAI_API_KEY": "sk-test"}
            if not server.has_postgresql:  # It has a pool there.
                environment["WALDUR_CHAT_CONN_MAX_AGE"] = "600"
            environment |= server.environment
            interpreter = python(server.packages)
            if server.settings is not None:
                environment |= {
                    "DJANGO_SETTINGS_MODULE": "tests.host.settings",
                    "WALDUR_CHAT_DB": database,
                    "WALDUR_CHAT_SETTINGS": json.dumps(server.settings),
                }
                set_up(environment)
            if server.prepare:
                subprocess.run([interpreter, *server.prepare], env={**os.environ, **environment}, check=True)
            port = free_port()
            command = [argument.format(port=port) for argument in server.command]
            if command[0].startswith("bin/"):
                command = [str(Path(interpreter).parent.parent / command[0]), *command[1:]]
            else:
                command = [interpreter, *command]
            with pinned(SERVER_CORE):
                running = stack.enter_context(process(command, port, directory / f"{len(found)}.log", environment))
            found.append(Started(name=name, server=server, running=running))
        yield found


def python(packages: str) -> str:
    """The interpreter of an environment, which is made when it is not there."""
    if not packages:
        return sys.executable
    place = ENVIRONMENTS / packages
    if not (place / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        command = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES[packages]]
        subprocess.run(command, check=True)
    return str(place / "bin" / "python")


@contextmanager
def source_service(directory: Path) -> Iterator[Running]:
    """The model service."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.speed.source", "--port", str(port)]
    with pinned(OTHER_CORE), process(command, port, directory / "source.log", {}) as running:
        yield running


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started here runs on this core, where there are several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & CORES or CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
