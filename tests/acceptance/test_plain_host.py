"""Any Django project: install, add two lines, migrate, and both endpoints answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, Running, free_port, process

INSTALLED_APPS = '\nINSTALLED_APPS += ["rest_framework.authtoken", "waldur_chat"]\n'
URLS = """
from django.urls import include
urlpatterns += [path("anywhere/", include("waldur_chat.urls"))]
"""
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "DJANGO_SETTINGS_MODULE": ""}


def manage(project: Path, *arguments: str) -> str:
    """Run a command of the project."""
    environment = {name: value for name, value in {**os.environ, **ENVIRONMENT}.items() if value}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with our two lines."""
    directory = tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, "-m", "django", "startproject", "site_", str(directory)], check=True)
    for name, lines in (("settings", INSTALLED_APPS), ("urls", URLS)):
        file = directory / "site_" / f"{name}.py"
        file.write_text(file.read_text() + lines)
    manage(directory, "migrate")
    return directory


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Running]:
    """The project under uvicorn."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "site_.asgi:application",
        "--app-dir",
        str(project),
        "--port",
        str(port),
    ]
    with process(
        command, port, project / "server.log", {**ENVIRONMENT, "DJANGO_SETTINGS_MODULE": "site_.settings"}
    ) as it:
        yield it


@pytest.fixture(scope="module")
def token(project: Path) -> str:
    """A user's token."""
    manage(project, "shell", "-c", "from django.contrib.auth.models import User; User.objects.create_user('alice')")
    return manage(project, "drf_create_token", "alice").split()[2]


def post(server: Running, operation: str, token: str) -> tuple[int, str]:
    """Ask."""
    request = urllib.request.Request(
        f"{server.address}/anywhere/chat/{operation}/",
        data=json.dumps({"input": "Hi"}).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Token {token}"} if token else {})},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_both_endpoints_answer_from_the_offline_provider(server: Running, token: str, operation: str) -> None:
    status, body = post(server, operation, token)
    assert (status, "offline" in body) == (200, True)


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_strangers_are_kept_out(server: Running, operation: str) -> None:
    assert post(server, operation, "")[0] == 401


def test_the_check_has_nothing_to_say(project: Path) -> None:
    assert "no issues" in manage(project, "check")


def test_the_host_starts_without_importing_the_sdk(project: Path) -> None:
    seen = "import sys, site_.urls; print('openai' in sys.modules, 'httpx' in sys.modules, 'httpx2' in sys.modules)"
    assert manage(project, "shell", "-c", seen).split()[-3:] == ["False", "False", "False"]
