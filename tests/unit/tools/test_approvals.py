"""When a call needs the approval of the user, and whose model gets a tool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from waldur_chat.tools import Tool, ToolContext


def made(**attributes: Any) -> Tool:
    """A tool with these attributes."""
    return type("Made", (Tool,), attributes)()


@pytest.mark.parametrize(
    ("attributes", "clean", "tainted"),
    [
        ({"is_safe": True}, False, False),
        ({"is_safe": True, "outward": True}, False, True),
        ({}, True, True),
        ({"approval": "always", "is_safe": True}, True, True),
        ({"approval": "tainted"}, False, True),
        ({"approval": "never"}, False, True),
        ({"approval": "never", "is_safe": True}, False, False),
        ({"approval": "never", "is_safe": True, "outward": True}, False, True),
    ],
)
def test_approval_depends_on_what_a_call_does_and_on_taint(attributes: Any, clean: bool, tainted: bool) -> None:
    tool = made(**attributes)
    assert (tool.needs_approval(is_tainted=False), tool.needs_approval(is_tainted=True)) == (clean, tainted)


USER = {"is_authenticated": True, "is_active": True}
PEOPLE = {
    "staff": SimpleNamespace(**USER, is_staff=True),
    "support": SimpleNamespace(**USER, is_staff=False, is_support=True),
    "user": SimpleNamespace(**USER, is_staff=False),
    "left": SimpleNamespace(is_authenticated=True, is_active=False, is_staff=True),
    "nobody": AnonymousUser(),
    "none": None,
}


@pytest.mark.parametrize(
    ("roles", "who"),
    [
        ("staff", {"staff"}),
        ("staff_and_support", {"staff", "support"}),
        ("all", {"staff", "support", "user"}),
        ("anonymous", set(PEOPLE)),
    ],
)
def test_a_tool_is_for_its_roles(roles: str, who: set[str]) -> None:
    assert {name for name, user in PEOPLE.items() if made(roles=roles).is_for(user)} == who


def test_a_tool_defines_what_it_does() -> None:
    with pytest.raises(NotImplementedError):
        Tool().execute(ToolContext(user=None), {})
