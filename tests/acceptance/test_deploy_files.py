"""The files in docs/deploy do what they say: nginx before the host project on PostgreSQL, and the units of systemd."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.cluster.machines import MAIN
from tests.acceptance.needs import nginx as program_of_nginx
from tests.acceptance.needs import program
from tests.acceptance.postgresql import postgresql_database, postgresql_server
from tests.acceptance.streams import open_stream, read_until
from tests.processes import ROOT, TOKEN, Running, free_port, host, process
from waldur_chat.conf.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DEPLOY = ROOT / "docs" / "deploy"
LIMITS = Settings()
GRACE = re.compile(r'--timeout-graceful-shutdown(?:",)? "?(\d+)')
MODEL = "tokens=12&delay=0.3"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql_server() as server, postgresql_database(server) as address:
        yield address


@contextmanager
def nginx(directory: Path, application: int) -> Iterator[Running]:
    """nginx with the file, but for its addresses, with a master process that can be told to reload."""
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for pattern, ours in {
        r"server app:8000;": f"server 127.0.0.1:{application};",
        r"listen 80;": f"listen 127.0.0.1:{port};",
        r"alias /srv/static/;": f"alias {directory}/;",
    }.items():
        text, count = re.subn(pattern, ours, text)
        assert count == 1, pattern
    configuration = directory / "nginx.conf"
    main = MAIN.replace("master_process off;", "master_process on; user root;" if os.geteuid() == 0 else "")
    configuration.write_text(main.format(directory=directory, site=text))
    command = [program_of_nginx(), "-p", str(directory), "-c", str(configuration), "-e", str(directory / "nginx.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    with process(command, port, directory / "nginx-output.log", {}) as running:
        yield running


@contextmanager
def site(fake: Running, directory: Path, database: str) -> Iterator[tuple[Running, Running]]:
    """The host project on uvicorn, and nginx before it."""
    arguments = ("--timeout-graceful-shutdown", _only(GRACE, "mysite.service"))
    options = {"model": MODEL, "provider": f"{fake.address}/v1", "database": database, "arguments": arguments}
    with host("uvicorn", directory, **options) as application, nginx(directory, application.port) as proxy:
        yield application, proxy


def _only(pattern: re.Pattern[str], name: str) -> str:
    found = pattern.findall((DEPLOY / name).read_text())
    assert len(found) == 1, (name, found)
    return str(found[0])


def test_pieces_arrive_one_by_one(fake: Running, tmp_path: Path, database: str) -> None:
    arrived, arrivals = b"", []
    with site(fake, tmp_path, database) as (_, proxy), open_stream(proxy) as connection:
        while b"event: end" not in arrived:
            piece = connection.recv(65536)
            assert piece, arrived
            arrived += piece
            arrivals.append((time.monotonic(), len(re.findall(rb"w\d+ ", piece))))
    times = [at for at, words in arrivals if words]
    assert sum(words for _, words in arrivals) >= 12
    assert len(times) >= 10
    assert times[-1] - times[0] > 2.0


def test_the_doctor_finds_nothing(fake: Running, tmp_path: Path, database: str) -> None:
    with site(fake, tmp_path, database) as (application, proxy):
        command = [sys.executable, "manage.py", "chat_doctor", f"{proxy.address}/api/chat/", "--token", TOKEN]
        command += ["--direct", f"{application.address}/api/chat/", "--no-model", "--json", "--max-silence", "4"]
        variables = {"DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": database}
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
        )
    assert json.loads(ended.stdout)["findings"] == []
    assert ended.returncode == 0


def test_a_reload_and_a_stop_cut_no_stream(fake: Running, tmp_path: Path, database: str) -> None:
    with site(fake, tmp_path, database) as (application, proxy):
        with open_stream(proxy) as connection:
            begun = read_until(connection, b"w1 ")
            proxy.process.send_signal(signal.SIGHUP)
            begun += read_until(connection, b"w4 ")
            application.process.send_signal(signal.SIGTERM)
            whole = begun + read_until(connection, b"event: end")
        assert b"w11 " in whole
        assert b"event: end" in whole
        assert application.process.wait(20) in (0, -signal.SIGTERM)
        assert "Traceback" not in application.log.read_text()


def test_metrics_are_not_behind_the_proxy(fake: Running, tmp_path: Path, database: str) -> None:
    (tmp_path / "seen.txt").write_text("static")
    with site(fake, tmp_path, database) as (_, proxy):
        asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
        paths = ("/api/chat/metrics/", "/static/seen.txt", "/api/chat/config/")
        statuses = [subprocess.check_output([*asked, proxy.address + path], text=True) for path in paths]
    assert statuses == ["404", "200", "200"]


def test_units_are_valid(tmp_path: Path) -> None:
    """The programs that they start are not on this machine."""
    for unit in sorted(DEPLOY.glob("mysite*")):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/srv/mysite/.venv/bin/", "/usr/bin/env "))
    verify = [program("systemd-analyze"), "verify", "--man=no", *map(str, sorted(tmp_path.glob("mysite*")))]
    verified = subprocess.run(verify, capture_output=True, text=True)
    assert len(verify) == 7
    assert (verified.returncode, verified.stderr) == (0, "")


def test_time_limits_are_longer_than_those_within() -> None:
    graces = {int(_only(GRACE, name)) for name in ("mysite.service", "Dockerfile")}
    kills = {
        int(_only(re.compile(r"TimeoutStopSec=(\d+)"), "mysite.service")),
        int(_only(re.compile(r"terminationGracePeriodSeconds: (\d+)"), "kubernetes.yaml")) - 5,
        min(map(int, re.findall(r"stop_grace_period: (\d+)s", (DEPLOY / "compose.yaml").read_text()))),
    }
    assert LIMITS.shutdown_seconds < min(graces) <= max(graces) < min(kills)
    silence = int(_only(re.compile(r"proxy_read_timeout (\d+)s"), "nginx.conf"))
    assert silence > max(LIMITS.heartbeat_seconds, LIMITS.first_event_seconds, LIMITS.turn_seconds)
    assert f'proxy-read-timeout: "{silence}"' in (DEPLOY / "kubernetes.yaml").read_text()
