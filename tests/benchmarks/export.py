"""What an export of many conversations costs, on PostgreSQL: time to the first byte, whole, processor time, memory.

python -m tests.benchmarks.export [--threads 20000] [--messages 4] [--server uvicorn]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.postgresql import postgresql_database, postgresql_server
from tests.benchmarks.lists import fill
from tests.processes import Running, host

MEGABYTE = 1024 * 1024


def processor_seconds(server: Running) -> float:
    """The processor time of the process so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(server: Running, name: str) -> float:
    """The memory of the process in megabytes: VmRSS now, VmHWM the most so far."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def measure(server: Running, kind: str) -> None:
    """Export once, and print what it took."""
    url = f"{server.address}/api/chat-sessions/current/export/?as={kind}"
    request = urllib.request.Request(url, headers={"Authorization": "Token owner"})
    used, before, begun, size = processor_seconds(server), memory(server, "VmRSS"), time.perf_counter(), 0
    with urllib.request.urlopen(request) as response:
        response.read(1)
        first = time.perf_counter() - begun
        while piece := response.read(MEGABYTE):
            size += len(piece)
    seconds, used = time.perf_counter() - begun, processor_seconds(server) - used
    print(
        f"{kind:9} first byte {first:5.2f} s, whole {seconds:6.2f} s, processor {used:6.2f} s, "
        f"{size / MEGABYTE:6.1f} MB, memory +{memory(server, 'VmHWM') - before:.0f} MB"
    )


def main() -> None:
    """Fill a database and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=20_000)
    parser.add_argument("--messages", type=int, default=4, help="in each of them")
    parser.add_argument("--server", default="uvicorn")
    options = parser.parse_args()
    options.users = 1
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
        server = stack.enter_context(host(options.server, directory, database=address))
        fill(address, options)
        threads = f"{server.address}/api/chat-threads/"
        first = urllib.request.Request(threads, headers={"Authorization": "Token owner"})
        urllib.request.urlopen(first).close()  # A process imports much for its first request.
        for kind in ("json", "markdown"):
            measure(server, kind)


if __name__ == "__main__":
    main()
