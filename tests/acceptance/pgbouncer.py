"""PgBouncer in transaction mode, in front of the PostgreSQL server of the tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.needs import missing
from tests.processes import free_port, process

POOL_SIZE = 3
"""Less than the threads of a host: transactions of one client are on different connections."""

CONFIGURATION = """
[databases]
* = host={host} port={database_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""


@contextmanager
def pgbouncer(database: str) -> Iterator[str]:
    """The address of this database behind PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        missing("the program pgbouncer")
    address, port = urlsplit(database), free_port()
    with tempfile.TemporaryDirectory() as directory:  # Of pytest's own folders only their user may read.
        Path(directory).chmod(0o755)
        configuration = Path(directory) / "pgbouncer.ini"
        values = {"host": address.hostname, "database_port": address.port or 5432, "user": address.username}
        configuration.write_text(CONFIGURATION.format(port=port, size=POOL_SIZE, **values))
        # It refuses to run as root.
        command = [program, *(["-u", "nobody"] if os.getuid() == 0 else []), str(configuration)]
        with process(command, port, Path(directory) / "log", {}):
            yield address._replace(netloc=f"{address.username}@127.0.0.1:{port}").geturl()
