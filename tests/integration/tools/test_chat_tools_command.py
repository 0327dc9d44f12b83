"""`manage.py chat_tools` lists what a user's model would be offered."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

TOOLS = {
    "list_projects": {"VIEW": "project-list"},
    "create_project": {"VIEW": "project-list", "METHOD": "POST", "ROLES": "staff", "DESCRIPTION": "Create. " * 20},
    "public": {"BACKEND": "tests.integration.tools.chat_tools.quote", "ROLES": "anonymous", "APPROVAL": "tainted"},
    "wrong": {"VIEW": "no-such"},
}


@pytest.fixture(autouse=True)
def host(db: None, settings: Any) -> Any:
    """A site with tools, one of which is wrong."""
    settings.ROOT_URLCONF = "tests.projects.urls"
    settings.WALDUR_CHAT = {"TOOLS": TOOLS}
    get_user_model().objects.create(username="alice")
    get_user_model().objects.create(username="boss", is_staff=True)
    return settings


def printed(*arguments: str) -> tuple[str, str]:
    """What it prints, and its complaints."""
    output, errors = StringIO(), StringIO()
    call_command("chat_tools", *arguments, stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


def test_it_lists_tools_with_approval_and_size() -> None:
    output, errors = printed()
    lines = output.splitlines()
    assert lines[0].startswith("list_projects  [approval: never; for: all; ")
    assert lines[1].startswith("create_project  [approval: always; for: staff; ")
    assert lines[1].endswith("Create. Cre…")
    assert lines[3].startswith("3 tools, ")
    assert errors == "left out: WALDUR_CHAT['TOOLS']['wrong']: no URL of the site has the name 'no-such'.\n"


@pytest.mark.parametrize(
    ("user", "names"),
    [
        ("alice", ["list_projects", "public"]),
        ("boss", ["list_projects", "create_project", "public"]),
        ("anonymous", ["public"]),
    ],
)
def test_a_user_has_the_tools_of_their_role(user: str, names: list[str]) -> None:
    tools = json.loads(printed("--json", "--user", user)[0])
    assert [tool["name"] for tool in tools] == names
    assert tools[-1]["approval"] == "tainted"
    assert tools[-1]["schema"]["required"] == ["size"]


def test_a_user_who_is_not_there_is_an_error() -> None:
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        printed("--user", "nobody")


def test_many_tools_are_worth_a_word(host: Any) -> None:
    host.WALDUR_CHAT = {"TOOLS": {f"tool{number}": TOOLS["public"] for number in range(21)}}
    assert printed()[1].startswith("More than 20 tools: a model is offered search_tools, and those that it has found")
