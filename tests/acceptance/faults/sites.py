"""The processes of the table of faults: the host on a server, its model service, and what can break around them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance import needs
from tests.acceptance.faults.asking import connect, receive
from tests.acceptance.faults.relay import Relay
from tests.acceptance.faults.rows import SETTINGS, SHARED_LIMITS, UNSTORED
from tests.acceptance.streams import eventually, family, open_files, threads, what_is_open
from tests.processes import Running, fake_service, free_port, host, stats

REQUESTS = 16
EXECUTOR = min(32, (os.cpu_count() or 1) + 4)
"""The threads that an event loop has for what blocks."""


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a site has open: connections to its provider, threads and file descriptors."""

    connections: int
    threads: int
    files: Counter[str]

    def beyond(self, other: Traces) -> str:
        """What is more here than there."""
        more = {
            "connections": self.connections - other.connections,
            "threads": self.threads - other.threads,
            f"descriptors, among them {dict(self.files - other.files)}": self.files.total() - other.files.total(),
        }
        return ", ".join(f"{count} {name}" for name, count in more.items() if count > 0) or "nothing"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running host, whose logs are in the directory. `ports` are those that questions name."""

    directory: Path
    server: Running
    fake: Running
    ports: dict[str, int]
    gone: dict[str, Callable[[], None]]
    back: dict[str, Callable[[], None]]

    @contextmanager
    def without(self, what: str) -> Iterator[None]:
        """While the context lasts, this is gone."""
        self.gone[what]()
        try:
            yield
        finally:
            self.back[what]()

    def traces(self) -> Traces:
        """What is open now, once the provider answers nobody."""
        assert eventually(lambda: stats(self.fake)["answering"] == 0), "the provider still answers"
        return Traces(connections=stats(self.fake)["open"], threads=threads(self.server), files=open_files(self.server))

    def left_behind(self, before: Traces) -> str:
        """What is open that was not, after a while in which it may close: other tests may keep the machine busy."""
        if eventually(lambda: self.traces().beyond(before) == "nothing"):
            return "nothing"  # Later the site may open something anew, such as a connection to its database.
        print(what_is_open(self.server))  # To be seen where the test fails.
        return self.traces().beyond(before)

    def tracebacks(self) -> int:
        """How many tracebacks are in the logs."""
        return sum(log.read_bytes().count(b"Traceback") for log in self.directory.glob("*.log"))

    def memory(self, of: str = "VmHWM") -> int:
        """Bytes of memory: the most since `forget_memory`, or `VmRSS`, what it has now."""
        statuses = [Path(f"/proc/{process}/status").read_text() for process in family(self.server.process.pid)]
        return sum(int(text.partition(f"{of}:")[2].split()[0]) * 1024 for text in statuses)

    def forget_memory(self) -> None:
        """Let the most memory be counted from now on."""
        for process in family(self.server.process.pid):
            Path(f"/proc/{process}/clear_refs").write_text("5")


@contextmanager
def listeners(directory: Path) -> Iterator[dict[str, int]]:
    """Ports at which nobody serves: closed, silent (accepts and says nothing), full (lets nobody in), and tls."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        tls = stack.enter_context(fake_service(directory, _certificate(directory)))
        ports = {"silent": silent.getsockname()[1], "full": full.getsockname()[1], "tls": tls.port}
        yield {"closed": free_port(), **ports}


@contextmanager
def site(
    server: str, kind: str, fake: Running, ports: dict[str, int], directory: Path, database: str
) -> Iterator[Site]:
    """A host of this kind (see `Row.site`) on a server, warm."""
    cache, log = directory / "the-cache-is-gone", "/dev/full" if kind == "full disk" else str(directory / "host.log")
    file = directory / "host.sqlite3"
    gone = {"cache": cache.touch, "database": lambda: _spoil(file)}
    back = {"cache": cache.unlink, "database": lambda: _restore(file)}
    if database:
        address = urlsplit(database)
        relay = Relay(str(address.hostname), address.port or 5432)
        gone["database"], back["database"] = relay.cut, relay.mend
        credentials = address.netloc.rpartition("@")[0]
        database = address._replace(netloc=f"{credentials}@127.0.0.1:{relay.port}").geturl()
    provider = {"base_url": f"{fake.address}/v1", "api_key": "sk-test", "model": "usual"}
    further = {**(SHARED_LIMITS if database else {}), **(UNSTORED if kind == "unstored" else {})}
    entry = {"BACKEND": "tests.fake.provider.AddressedProvider", "OPTIONS": provider}
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.faults.settings",
        "FAULTS_CACHE_GONE": str(cache),
        "FAULTS_LOG": log,
    }
    with host(
        server,
        directory,
        settings={**SETTINGS, **further, "PROVIDERS": {"default": entry}},
        database=database,
        environment=environment,
        log=Path("/dev/full") if kind == "full disk" else None,
    ) as running:
        named = {**ports, "fake": fake.port, "host": running.port}
        made = Site(directory=directory, server=running, fake=fake, ports=named, gone=gone, back=back)
        _warm_up(made)
        yield made


def _warm_up(made: Site) -> None:
    """Let the server have all its threads at work once, so that it starts none later."""
    closed = f"at:http://127.0.0.1:{made.ports['closed']}"
    with ExitStack() as stack:  # New addresses mean new clients, which are made in threads.
        addresses = (connect(made.server, "invoke", f"{closed}/{number}") for number in range(EXECUTOR))
        for connection in [stack.enter_context(one) for one in addresses]:
            receive(connection)
    with ExitStack() as stack:
        for _ in range(REQUESTS):
            stack.enter_context(connect(made.server, "stream", "fake:tokens=100&delay=0.2"))
        assert eventually(lambda: stats(made.fake)["answering"] == REQUESTS)


def _spoil(file: Path) -> None:
    """Put something else in the database's place; modes of files mean nothing to root."""
    file.rename(file.with_suffix(".away"))
    file.write_bytes(b"no database\n" * 100)


def _restore(file: Path) -> None:
    file.with_suffix(".away").replace(file)


def _certificate(directory: Path) -> Path:
    """A certificate that nobody but itself signed, and its key."""
    path = directory / "certificate.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = [needs.program("openssl"), "req", "-x509", *key, *names]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    with path.open("ab") as file:
        file.write(made)
    return path
