"""A site on MariaDB: everything but the chat's storage works there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.mariadb import mariadb_database, mariadb_server
from tests.acceptance.needs import module
from tests.acceptance.operations import call, server_errors
from tests.processes import ROOT, host, set_up

USER = "57a1d0c4000080008000000000000001"
"""The UUID of the demo's user, which follows from the primary key."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a host with a database of our own, whose user is staff."""
    module("pymysql")
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as address, mariadb_database(address) as (name, cursor):
        values = {
            "DJANGO_SETTINGS_MODULE": "tests.host.mariadb_settings",
            "WALDUR_CHAT_DB": f"mariadb//{name}",
            "WALDUR_CHAT_TEST_MARIADB": address,
        }
        set_up(values)
        cursor.execute(f"UPDATE {name}.auth_user SET is_staff = true, is_superuser = true")
        yield values


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of Django; returns what it says of problems."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(("storage", "expected"), [(True, (409, "chat_not_configured")), (False, (200, "offline"))])
def test_questions_are_answered_where_nothing_is_stored(
    environment: dict[str, str], tmp_path: Path, storage: bool, expected: tuple[int, str]
) -> None:
    database, settings = environment["WALDUR_CHAT_DB"], {"STORAGE": storage, "TURNS_PER_SITE": 5}
    with host(
        "uvicorn", tmp_path, database=database, environment=environment, settings=settings, is_set_up=True
    ) as site:
        status, body = call(site, "POST", "/api/chat/invoke/", {"input": "Hi"})
        assert (status, expected[1] in body) == (expected[0], True)
        status, body = call(site, "POST", "/api/chat-quota/set_quota/", {"user_uuid": USER, "daily_limit": 9000})
        assert (status, json.loads(body)["code"]) == (409, "chat_not_configured")
        prompt = json.loads(call(site, "POST", "/api/chat-system-prompts/", {"name": "Kind"})[1])["uuid"]
        assert call(site, "POST", f"/api/chat-system-prompts/{prompt}/activate/")[0] == 200
        assert call(site, "POST", "/api/chat/invoke/", {"input": "Hi"})[0] == expected[0]
        assert server_errors(site, prompt) == []


def test_the_project_is_checked_and_its_migrations_undone(environment: dict[str, str]) -> None:
    assert "waldur_chat.W011" in manage(environment, "check")
    for target in (["waldur_chat"], ["waldur_chat", "zero"], []):
        manage(environment, "migrate", *target)
