"""The host project on a server, nginx before it, and the doctor who is asked about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.needs import nginx as program_of_nginx
from tests.processes import ROOT, SERVERS, TOKEN, Running, free_port, process

# Short times, so that holding answers to their limits takes seconds.
LIMITS = {"HEARTBEAT_SECONDS": 1.5, "FIRST_EVENT_SECONDS": 3.0, "SILENCE_SECONDS": 3.0, "TURN_SECONDS": 5.0}
LONGEST = "4"
HTTP = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {http}
    server {{
        {listen}
        {server}
        location / {{ {location} }}
    }}
}}
"""
LOCATION = {
    "proxy_pass": "http://127.0.0.1:{application}",
    "proxy_http_version": "1.1",
    "proxy_set_header": 'Connection "";\nproxy_set_header Host $http_host',
    "proxy_read_timeout": "130s",
}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What the doctor said."""

    status: int
    findings: list[dict[str, str]]

    @property
    def ids(self) -> list[str]:
        """What was found."""
        return [finding["id"] for finding in self.findings]

    @property
    def cures(self) -> str:
        return "\n".join(finding["cure"] for finding in self.findings)


def database(directory: Path) -> None:
    """Make the database of all sites, with a user and a token."""
    demo = [sys.executable, "manage.py", "demo", "--setup-only", "--token", TOKEN]
    variables = {**os.environ, **environment(directory, {}, {})}
    subprocess.run(demo, cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)


def environment(home: Path, settings: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, str]:
    """What a process of the site is started with, and the doctor too."""
    return {
        "WALDUR_CHAT_DB": str(home / "site.sqlite3"),
        "WALDUR_CHAT_SETTINGS": json.dumps({**LIMITS, **settings}),
        "WALDUR_CHAT_HOST_SETTINGS": json.dumps(host),
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.doctor.settings",
        "OPENAI_BASE_URL": "",
        "OPENAI_API_KEY": "",
    }


@contextmanager
def application(
    server: str,
    home: Path,
    *arguments: str,
    settings: Mapping[str, Any] | None = None,
    host: Mapping[str, Any] | None = None,
) -> Iterator[Running]:
    """The host project, with settings of the chat and of the host; `arguments` are further ones of the server."""
    port = free_port()
    variables = environment(home, settings or {}, host or {})
    command = [sys.executable, *(argument.format(port=port) for argument in SERVERS[server]), *arguments]
    with process(command, port, home / f"{server}-{port}.log", variables) as running:
        yield running


@contextmanager
def nginx(
    directory: Path, application: int, location: Mapping[str, str] | None = None, *, server: str = "", http: str = ""
) -> Iterator[Running]:
    """nginx before the application, as the documentation has it but for these directives."""
    directory.mkdir(exist_ok=True)
    port = free_port()
    directives = {**LOCATION, **(location or {})}
    lines = [f"{name} {value};" for name, value in directives.items() if value]
    text = HTTP.format(
        directory=directory,
        http=http,
        listen=f"listen 127.0.0.1:{port}{' ssl' if 'ssl_certificate' in server else ''};",
        server=server,
        location="\n".join(lines).format(application=application),
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(text)
    command = [
        program_of_nginx(),
        "-p",
        str(directory),
        "-c",
        str(configuration),
        "-e",
        str(directory / "nginx-start.log"),
    ]
    with process(command, port, directory / "nginx.log", {}) as running:
        yield running


def examine(
    url: str,
    home: Path,
    *arguments: str,
    host: Mapping[str, Any] | None = None,
    token: str = TOKEN,
    model: Mapping[str, str] | None = None,
) -> Examined:
    """Run the doctor as an operator does, with the site's own environment; `model` is what it says of the model."""
    command = [sys.executable, "manage.py", "chat_doctor", url, "--token", token, "--json", *arguments]
    command += [] if model else ["--no-model"]
    variables = {**os.environ, **environment(home, {}, host or {}), **(model or {})}
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in ended.stderr, ended.stderr
    return Examined(status=ended.returncode, findings=json.loads(ended.stdout)["findings"])


def quick(url: str, home: Path, *arguments: str) -> Examined:
    """See examine(); without long answers and silence."""
    return examine(url, home, "--quick", *arguments)


def chat(running: Running, scheme: str = "http") -> str:
    """The address of the API there."""
    return f"{scheme}://127.0.0.1:{running.port}/api/chat/"
