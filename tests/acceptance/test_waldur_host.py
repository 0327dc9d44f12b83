"""A Waldur host finds the plugin by its entry point; what its operator keeps in constance is honoured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, TOKEN, Running, free_port, process

pytestmark = pytest.mark.skipif(
    not entry_points(group="waldur_extensions"), reason="waldur-chat is not installed, so it has no entry point"
)

SETUP = f"""
import django; django.setup()
from django.core.management import call_command; call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
Token.objects.create(user=User.objects.create_user("alice"), key="{TOKEN}")
"""


@dataclass(kw_only=True)
class WaldurHost:
    """A Waldur host: its constance values, and what else is different."""

    directory: Path
    constance: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    owns_chat: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'waldur'}",
            "DJANGO_SETTINGS_MODULE": "waldur_core.server.settings",
            "WALDUR_CHAT_DB": str(self.directory / "waldur.sqlite3"),
            "WALDUR_CHAT_SETTINGS": json.dumps(self.settings),
            "WALDUR_HOST_CONSTANCE": json.dumps({name: [value, ""] for name, value in self.constance.items()}),
            "WALDUR_HOST_OWNS_CHAT": "1" if self.owns_chat else "",
        }

    def check(self) -> str:
        """What `manage.py check` prints."""
        return self._run("-m", "django", "check")

    def post(self, path: str, data: Any = None) -> tuple[int, Any]:
        """Start it under gunicorn, and ask."""
        self._run("-c", SETUP)
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "waldur_core.server.wsgi", "--preload", "-b", f"127.0.0.1:{port}"]
        with process(command, port, self.directory / "waldur.log", self.environment) as running:
            return _post(running, path, data)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout


def _post(server: Running, path: str, data: Any) -> tuple[int, Any]:
    body = b"" if data is None else json.dumps(data).encode()
    headers = {
        "Authorization": f"Token {TOKEN}",
        "Content-Type": "application/json",
        "Accept": "text/event-stream, */*",
    }
    request = urllib.request.Request(f"{server.address}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def waldur(tmp_path: Path) -> Callable[..., WaldurHost]:
    """Makes a Waldur host."""
    return lambda constance, **different: WaldurHost(directory=tmp_path, constance=constance, **different)


LEGACY = {"LLM_CHAT_ENABLED": True, "LLM_INFERENCES_API_URL": "", "LLM_INFERENCES_API_TOKEN": "t"}


def test_a_host_that_keeps_no_switch_has_the_chat(waldur: Callable[..., WaldurHost]) -> None:
    status, body = waldur({}).post("/api/chat/invoke/")
    assert (status, "offline provider" in body) == (200, True)


@pytest.mark.parametrize(
    ("constance", "status"),
    [
        ({**LEGACY, "LLM_CHAT_ENABLED": False}, 404),
        (LEGACY, 409),
        ({"AI_ASSISTANT_ENABLED": False, "AI_ASSISTANT_API_URL": ""}, 404),
        ({"AI_ASSISTANT_ENABLED": True, "AI_ASSISTANT_API_URL": ""}, 409),
        ({"AI_ASSISTANT_ENABLED": True, "AI_ASSISTANT_ENABLED_ROLES": "staff"}, 403),
    ],
)
def test_the_hosts_switches_are_honoured(
    waldur: Callable[..., WaldurHost], constance: dict[str, Any], status: int
) -> None:
    assert waldur(constance).post("/api/chat/invoke/")[0] == status


def test_the_langserve_address_of_2025_is_asked(waldur: Callable[..., WaldurHost], fake: Running) -> None:
    host = waldur({**LEGACY, "LLM_INFERENCES_API_URL": f"{fake.address}/langserve/stream?tokens=3"})
    assert host.post("/api/chat/invoke/") == (200, '"w0 w1 w2 "')


def test_the_openai_address_of_2026_is_asked(waldur: Callable[..., WaldurHost], fake: Running) -> None:
    names = {"AI_ASSISTANT_ENABLED": True, "AI_ASSISTANT_API_URL": f"{fake.address}/v1", "AI_ASSISTANT_API_TOKEN": ""}
    host = waldur({**names, "AI_ASSISTANT_MODEL": "tokens=3", "AI_ASSISTANT_COMPLETION_KWARGS": {"temperature": 0}})
    status, body = host.post("/api/chat/stream/", {"input": "Hi"})
    assert (status, re.findall(r"w\d", body)) == (200, ["w0", "w1", "w2"])


def test_the_plugins_settings_win(waldur: Callable[..., WaldurHost]) -> None:
    host = waldur({**LEGACY, "LLM_CHAT_ENABLED": False}, settings={"ENABLED": True})
    assert host.post("/api/chat/invoke/")[0] == 409


def test_a_healthy_host_has_nothing_to_mend(waldur: Callable[..., WaldurHost]) -> None:
    assert "no issues" in waldur(LEGACY).check()


def test_the_plugin_steps_aside_for_a_chat_of_the_hosts(waldur: Callable[..., WaldurHost]) -> None:
    host = waldur({}, owns_chat=True)
    assert "waldur_chat.W005" in host.check()
    assert host.post("/api/chat/invoke/")[0] == 404


def test_the_plugin_takes_the_prefix_that_it_is_told(waldur: Callable[..., WaldurHost]) -> None:
    host = waldur({}, owns_chat=True, settings={"URL_PREFIX": "llm-chat"})
    assert "no issues" in host.check()
    assert host.post("/api/llm-chat/invoke/")[0] == 200


def test_a_plugin_that_cannot_work_does_not_stop_the_host(waldur: Callable[..., WaldurHost]) -> None:
    host = waldur({}, settings={"URL_PREFIX": ["not", "a", "prefix"]})
    assert host.post("/api/")[0] == 405
