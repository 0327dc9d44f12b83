"""What docs/tools.md says of tools is true: its code runs, and its tables are complete."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from tests.integration.test_documentation import ROOT, blocks
from waldur_chat.tools import ToolContext, registry
from waldur_chat.tools.declarations import KINDS, OF_MCP_TOOLS, RULES
from waldur_chat.tools.execution import run

PAGE = (ROOT / "docs" / "tools.md").read_text()
VIEWS, HEADERS, WALDUR, WALDUR_AND_OTHERS, FUNCTION, CLASS, BACKENDS, MCP, FORMS = blocks("tools.md")


def declared(block: str) -> Any:
    """The settings of a block."""
    names: dict[str, Any] = {}
    exec(block, names)
    return names["WALDUR_CHAT"]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The code of the page, as a module of a site."""
    module: Any = ModuleType("assistant")
    exec(f"{HEADERS}\n{FUNCTION}\n{CLASS}", vars(module))
    package = ModuleType("mysite")
    monkeypatch.setitem(sys.modules, "mysite", package)
    monkeypatch.setitem(sys.modules, "mysite.assistant", module)
    package.assistant = module
    return module


def test_its_views_are_tools(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.projects.urls"
    assert list(registry.examine(declared(VIEWS)["TOOLS"]).tools) == ["list_projects", "rename_project"]


def test_its_form_is_a_tool() -> None:
    assert list(registry.examine(declared(FORMS)["TOOLS"]).tools) == ["ask_user"]


def test_its_class_is_a_tool(module: Any) -> None:
    tool = registry.examine(declared(BACKENDS)["TOOLS"]).tools["show_project"]
    result = async_to_sync(run)(tool, ToolContext(user=None), '{"uuid": "a"}')
    assert (tool.roles, result.ui_data["links"][0]["url"]) == ("staff", "/projects/a/")


def test_its_function_is_a_tool(module: Any) -> None:
    context = ToolContext(user=User(username="alice"))
    result = async_to_sync(run)(module.machine_price, context, '{"size": "large", "hours": 2}')
    assert result.data == {"user": "alice", "euros": 6}


def test_its_server_is_one() -> None:
    assert [server.name for server in registry.examine(declared(MCP)["TOOLS"]).servers] == ["jira"]


@pytest.mark.parametrize("key", sorted(RULES))
def test_every_key_of_an_entry_is_named(key: str) -> None:
    if key in OF_MCP_TOOLS or key in KINDS["MCP"]:
        assert f"`{key}`" in (ROOT / "docs" / "mcp.md").read_text()
    if key in KINDS["VIEW"]:
        assert f"\n| `{key}` | " in PAGE
    elif key in KINDS["BACKEND"]:
        assert f'"{key}": ' in PAGE


def test_every_check_is_named() -> None:
    codes = set(
        re.findall(
            r"E02[3-8]|E030|W029|W031|W035|W03[67]", (ROOT / "waldur_chat" / "checks" / "__init__.py").read_text()
        )
    )
    assert set(re.findall(r"^\| `waldur_chat\.(\w+)` \|", PAGE, re.MULTILINE)) == codes
