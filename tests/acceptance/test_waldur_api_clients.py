"""Today's published Python clients: every operation that each release has for the chat returns, and is parsed.

Known to be impossible, by faults of their own: `chat_stream` of 7.9.7 and newer raises on every status, 200 too, since
what made it knows no NDJSON; the answer is in the exception, where the scenario looks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.acceptance.needs import missing, module
from tests.processes import ROOT, TOKEN, Running, fake_service, host

module("attrs")
module("dateutil")
module("httpx")

VERSIONS = {"8.0.2": 23, "8.0.7": 13, "8.0.9": 23, "8.1.3": 24}
"""The releases, and how many operations each has for the chat."""

TOOLS = {
    "TOOLS": {
        "quote": {"BACKEND": "tests.integration.tools.chat_tools.quote"},
        "show_board": {"BACKEND": "tests.integration.tools.chat_tools.Board"},
    }
}

STAFF_TOKEN = "f" * 40
MAKE_STAFF = f"""
import django; django.setup()
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from waldur_chat.users import uuid_of
Token.objects.create(user=User.objects.create_user("boss", is_staff=True), key="{STAFF_TOKEN}")
print(uuid_of(User.objects.get(username="demo")))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, str]]]:
    """What came of each operation of a release."""
    directory = tmp_path_factory.mktemp("clients")
    with (
        fake_service(directory) as fake,
        host("uvicorn", directory, model="tokens=4", provider=f"{fake.address}/v1", settings=TOOLS) as running,
    ):
        environment = {
            "WALDUR_CHAT_DB": str(directory / "host.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "tests.host.settings",
        }
        owner = _printed([sys.executable, "-c", MAKE_STAFF], environment).strip()
        yield cache(lambda version: _scenario(_installed(version, directory), running, owner))


def _installed(version: str, directory: Path) -> Path:
    """The wheel of this release, from which Python can import: several releases cannot be in one environment."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory)]
    done = subprocess.run([*command, f"waldur-api-client=={version}"], capture_output=True)
    wheels = list(directory.glob(f"waldur_api_client-{version}-*.whl"))
    return wheels[0] if wheels else missing(f"waldur-api-client {version} ({done.stderr.decode()[-300:]})")


def _scenario(client: Path, running: Running, owner: str) -> dict[str, str]:
    script = ROOT / "tests" / "acceptance" / "clients" / "scenario.py"
    command = [sys.executable, str(script), running.address, TOKEN, STAFF_TOKEN, owner]
    return dict(json.loads(_printed(command, {"PYTHONPATH": str(client)})))


def _printed(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_the_scenario_has_every_operation_of_the_release(
    results: Callable[[str], dict[str, str]], version: str
) -> None:
    assert len(results(version)) == VERSIONS[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_returns_and_is_parsed(results: Callable[[str], dict[str, str]], version: str) -> None:
    assert {name: outcome for name, outcome in results(version).items() if outcome != "ok"} == {}
