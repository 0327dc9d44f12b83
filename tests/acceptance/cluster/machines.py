"""A cluster: processes of the host project on one database, each of which can be stopped and started again, and nginx.

nginx is configured as docs/scaling.md has it.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.acceptance.needs import nginx as program_of_nginx
from tests.acceptance.streams import family
from tests.processes import ROOT, Running, free_port, host, process, set_up

PAGE = ROOT / "docs" / "scaling.md"
MAIN = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {site}
}}
"""
ARGUMENTS = {"gunicorn-gthread": ("--threads", "120", "--graceful-timeout", "60")}
"""A thread for each stream, and time for them: gunicorn would give them 30 seconds."""

STOPPING_SECONDS = 90.0


class Machine:
    """A place where the host project runs, always on the same port."""

    def __init__(self, start: Callable[[int], AbstractContextManager[Running]]) -> None:
        self.port = free_port()
        self._start = start
        self._stack = ExitStack()
        self.running: Running | None = None

    @property
    def process(self) -> Running:
        """Its process, which must have been started."""
        assert self.running
        return self.running

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.running = self._stack.enter_context(self._start(self.port))

    def kill(self) -> None:
        """End it as a power cut does."""
        for pid in family(self.process.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.process.wait()

    def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        self.process.process.send_signal(signal.SIGTERM)
        self.process.process.wait(STOPPING_SECONDS)

    def close(self) -> None:
        """End what is left of it."""
        self._stack.close()


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Its machines, and the port of nginx before them."""

    machines: list[Machine]
    port: int

    @property
    def ports(self) -> list[int]:
        """Those of the machines."""
        return [machine.port for machine in self.machines]

    def complaints(self) -> list[str]:
        """What the processes that run now have logged of exceptions."""
        logs = [machine.process.log.read_text(errors="replace") for machine in self.machines]
        return [log for log in logs if "Traceback" in log]


@contextmanager
def cluster(
    servers: Sequence[str], directory: Path, *, database: str, settings: dict[str, Any] | None = None, **options: Any
) -> Iterator[Cluster]:
    """The host project on these servers, started at once, and nginx before them. See `tests.processes.host()`.

    Answers are written to their end, unless the settings say otherwise.
    """
    set_up({"DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": database})
    names = count()

    def machine(server: str) -> Machine:
        def start(port: int) -> AbstractContextManager[Running]:
            return host(
                server,
                directory,
                database=database,
                log=directory / f"machine-{port}-{next(names)}.log",
                is_set_up=True,
                port=port,
                arguments=ARGUMENTS.get(server, ()),
                settings={"FINISH_SECONDS": None, **(settings or {})},
                **options,
            )

        return Machine(start)

    with ExitStack() as stack, ThreadPoolExecutor(len(servers)) as threads:
        machines = [machine(server) for server in servers]
        for one in machines:
            stack.callback(one.close)
        list(threads.map(Machine.start, machines))
        proxy = stack.enter_context(_nginx(directory, [one.port for one in machines]))
        yield Cluster(machines=machines, port=proxy.port)


@contextmanager
def _nginx(directory: Path, ports: Sequence[int]) -> Iterator[Running]:
    """nginx as the documentation has it, with these machines."""
    port = free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(MAIN.format(directory=directory, site=site(port, ports)))
    command = [program_of_nginx(), "-p", str(directory), "-c", str(configuration), "-e", str(directory / "nginx.log")]
    with process(command, port, directory / "nginx-output.log", {}) as running:
        yield running


def site(port: int, ports: Sequence[int]) -> str:
    """The configuration of the page, with these addresses in the place of its own."""
    found = re.search(r"```nginx\n(upstream .*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    servers = "".join(f"    server 127.0.0.1:{one};\n" for one in ports)
    text, machines = re.subn(r"(    server [\d.:]+;\n)+", servers, found[1])
    text, listens = re.subn(r"listen [^;]+;", f"listen 127.0.0.1:{port};", text)
    assert (machines, listens) == (1, 1)
    return text
