"""A MariaDB server for tests: `WALDUR_CHAT_TEST_MARIADB` (HOST:PORT), or one of our own for as long as they take."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.needs import missing, module, program
from tests.processes import free_port, process

QUICK = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=32M"]
"""The data need not survive a crash of the machine."""


@contextmanager
def mariadb_server(directory: Path) -> Iterator[str]:
    """The address of a server whose user root needs no password."""
    if address := os.environ.get("WALDUR_CHAT_TEST_MARIADB"):
        yield address
        return
    server, data, port = _server(), directory / "data", free_port()
    options = ["--no-defaults", f"--datadir={data}", *(["--user=root"] if os.getuid() == 0 else [])]
    install = [program("mariadb-install-db"), *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    sockets = [f"--socket={directory / 'socket'}", f"--pid-file={directory / 'pid'}", "--bind-address=127.0.0.1"]
    command = [server, *options, *sockets, f"--port={port}", *QUICK]
    with process(command, port, directory / "mariadb.log", {}):
        yield f"127.0.0.1:{port}"


@contextmanager
def mariadb_database(address: str) -> Iterator[tuple[str, Any]]:
    """The name of a database of our own, and a cursor of the server."""
    host, _, port = address.partition(":")
    name = f"waldur_chat_test_{free_port()}"
    server: Any = module("pymysql").connect(host=host, port=int(port), user="root", autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield name, cursor
        cursor.execute(f"DROP DATABASE {name}")


def _server() -> str:
    """Debian has it where only root looks for programs."""
    found = shutil.which("mariadbd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    return found or missing("the program mariadbd")
