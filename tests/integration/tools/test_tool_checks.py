"""What `manage.py check` says of tools, and what is left of a site with a mistake in them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from rest_framework.authentication import BaseAuthentication

from waldur_chat import checks, conf
from waldur_chat.tools import Tool, registry, tool
from waldur_chat.tools.discovery import _modules, _tools_of, tools_of_apps
from waldur_chat.tools.problems import report

FUNCTIONS = "tests.integration.tools.chat_tools"
CHECKS = {
    "E023": checks.check_tool_entries,
    "E024": checks.check_tool_views,
    "E025": checks.check_tool_schemas,
    "E026": checks.check_tool_names,
    "E027": checks.check_own_views,
    "E028": checks.check_tool_answers,
    "W029": checks.check_approvals,
    "E030": checks.check_tool_imports,
    "W031": checks.check_tool_authentication,
    "W035": checks.check_optional_views,
    "W037": checks.check_tool_names_in_views,
}


@pytest.fixture(autouse=True)
def host(settings: Any) -> Any:
    """The host with projects. No query is made."""
    settings.ROOT_URLCONF = "tests.projects.urls"
    return settings


class Broken(Tool):
    """A tool whose arguments are no object."""

    schema = {"type": "string"}


class NotValid(Tool):
    """A tool whose schema is none."""

    schema = {"type": "object", "properties": {"a": {"type": "text"}}}


@tool
def wrong(key: bytes) -> None:
    """A function with a parameter that a model cannot give."""


def said() -> list[str]:
    """What all checks of tools say."""
    return [f"{one.id.partition('.')[2]} {one.msg}" for check in CHECKS.values() for one in check(None)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (7, "E023 WALDUR_CHAT['TOOLS']['x']: it must be a dict with one of 'VIEW', 'BACKEND' and 'MCP'."),
        ({}, "E023 WALDUR_CHAT['TOOLS']['x']: it must be a dict with one of 'VIEW', 'BACKEND' and 'MCP'."),
        ({"VIEW": "project-list", "FEILDS": []}, "unknown key 'FEILDS'. Did you mean 'FIELDS'?"),
        ({"VIEW": "project-list", "QQ": []}, "unknown key 'QQ'. It has VIEW, METHOD, FIELDS, ROWS, "),
        ({"VIEW": "project-list", "METHOD": "HEAD"}, "['METHOD']: it must be one of GET, POST, PUT, PATCH, DELETE."),
        ({"VIEW": "project-list", "FIELDS": "name"}, "['FIELDS']: it must be a list of names of fields."),
        ({"VIEW": "project-list", "SECONDS": True}, "['SECONDS']: it must be a number of seconds above 0."),
        ({"BACKEND": "no.such"}, "E030 WALDUR_CHAT['TOOLS']['x']['BACKEND']: ModuleNotFoundError"),
        ({"BACKEND": "os.sep"}, "E023 WALDUR_CHAT['TOOLS']['x']['BACKEND']: os.sep is neither a Tool nor a function."),
        (
            {"BACKEND": f"{FUNCTIONS}.Board", "OPTIONS": {"a": 1}},
            "E030 WALDUR_CHAT['TOOLS']['x']['BACKEND']: TypeError",
        ),
        ({"BACKEND": f"{__name__}.Broken"}, "E025 WALDUR_CHAT['TOOLS']['x']: its schema must be a JSON Schema"),
        ({"BACKEND": f"{__name__}.NotValid"}, "E025 WALDUR_CHAT['TOOLS']['x']: its schema is not valid: 'text' is not"),
        ({"VIEW": "no-such"}, "E024 WALDUR_CHAT['TOOLS']['x']: no URL of the site has the name 'no-such'."),
        (
            {"VIEW": "project-list", "METHOD": "PATCH"},
            "E024 WALDUR_CHAT['TOOLS']['x']: the view 'project-list' does not",
        ),
        ({"VIEW": "log", "METHOD": "POST"}, "E024 WALDUR_CHAT['TOOLS']['x']: the view 'log' does not take POST."),
        ({"VIEW": "plain"}, "E025 WALDUR_CHAT['TOOLS']['x']: 'plain' is no view of Django REST framework."),
        (
            {"VIEW": "project-hidden"},
            "E025 WALDUR_CHAT['TOOLS']['x']: the view 'project-hidden' is left out of the doc",
        ),
        ({"VIEW": "project-odd"}, "E025 WALDUR_CHAT['TOOLS']['x']: the view 'project-odd' has no schema: "),
        ({"VIEW": "chat-threads-list"}, "E027 WALDUR_CHAT['TOOLS']['x']: 'chat-threads-list' is a view of the chat"),
        ({"VIEW": "project-export"}, "E028 WALDUR_CHAT['TOOLS']['x']: the view 'project-export' gives no JSON, but te"),
        ({"VIEW": "project-picture"}, "E028 WALDUR_CHAT['TOOLS']['x']: the view 'project-picture' gives no JSON, but"),
        ({"VIEW": "project-upload", "METHOD": "POST"}, "takes no JSON, but files or forms."),
    ],
)
def test_a_mistake_is_named_and_leaves_out_the_tool_alone(host: Any, entry: Any, expected: str) -> None:
    host.WALDUR_CHAT = {"TOOLS": {"x": entry, "right": {"VIEW": "project-list"}}}
    (words,) = said()
    assert expected in words
    assert [tool.name for tool in registry.offered(None, None, conf.load())] == []
    assert list(registry.site_tools().tools) == ["right"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"FIELDS": ["nmae", "id", "owner"]}, ["['FIELDS']: 'project-list' has no 'nmae', 'owner'."]),
        ({"PARAMETERS": ["serach"]}, ["['PARAMETERS']: 'project-list' has no 'serach'."]),
        ({"QUERY": {"pgae": 1}}, ["['QUERY']: 'project-list' has no 'pgae'."]),
        ({"FIELDS": ["nmae"], "OPTIONAL": True}, []),
        ({"FIELDS": ["id", "owner_name"], "PARAMETERS": ["search"], "QUERY": {"page": 1}}, []),
        ({"VIEW": "project-detail", "FIELDS": ["nmae"]}, ["['FIELDS']: 'project-detail' has no 'nmae'."]),
        ({"VIEW": "project-later", "METHOD": "POST", "FIELDS": ["budget"], "QUERY": {"a": 1}}, []),
        ({"VIEW": "project-detail", "METHOD": "DELETE", "FIELDS": ["id"]}, []),
    ],
)
def test_names_that_a_view_does_not_document_are_worth_a_warning(host: Any, entry: Any, expected: list[str]) -> None:
    host.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "project-list", **entry}}}
    assert [words.removeprefix("W037 WALDUR_CHAT['TOOLS']['x']") for words in said()] == expected
    assert list(registry.site_tools().tools) == ["x"]


@pytest.mark.parametrize("name", ["", "with space", "x" * 65, "ä"])
def test_a_name_that_services_refuse_is_none(host: Any, name: str) -> None:
    host.WALDUR_CHAT = {"TOOLS": {name: {"VIEW": "project-list"}}}
    assert said()[0].startswith("E026 ")


@pytest.mark.parametrize("tools", [7, ["a"], None, "no such set"])
def test_what_is_no_dict_is_named(host: Any, tools: Any) -> None:
    host.WALDUR_CHAT = {"TOOLS": tools}
    assert said() == ["E023 WALDUR_CHAT['TOOLS']: it must be a dict from names of tools to dicts, or 'waldur'."]


def test_settings_that_are_none_are_left_to_the_other_check(host: Any) -> None:
    host.WALDUR_CHAT = "nonsense"
    assert said() == []


def test_the_reason_is_logged_once(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    report.cache_clear()
    host.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "no-such"}}}
    for _ in range(2):
        assert registry.find("x") is None
    assert [record.getMessage() for record in caplog.records] == [
        "A tool is left out: WALDUR_CHAT['TOOLS']['x']: no URL of the site has the name 'no-such'."
    ]


@pytest.mark.parametrize(
    ("method", "approval", "said_of_it"), [("POST", "never", 1), ("POST", "always", 0), ("GET", "never", 0)]
)
def test_a_write_that_nobody_approves_is_worth_a_warning(
    host: Any, method: str, approval: str, said_of_it: int
) -> None:
    host.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "project-list", "METHOD": method, "APPROVAL": approval}}}
    expected = "W029 WALDUR_CHAT['TOOLS']['x']: a POST of 'project-list' needs no approval."
    assert said() == [expected] * said_of_it


class Own(BaseAuthentication):
    """An authenticator of the host's own."""


@pytest.mark.parametrize(
    ("own", "said_of_it"),
    [
        ({}, ["W031 Own cannot authenticate a user again, who is then set on the views that have it:"]),
        ({"TOOL_AUTHENTICATION": f"{__name__}.said"}, []),
        ({"TOOL_AUTHENTICATION": 7}, []),
        ({"TOOLS": {}}, []),
    ],
)
def test_users_who_cannot_be_authenticated_again_are_named(host: Any, own: Any, said_of_it: list[str]) -> None:
    host.REST_FRAMEWORK = {**host.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": [f"{__name__}.Own"]}
    host.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "project-list"}}, **own}
    assert [words.partition(" what it")[0] for words in said()] == said_of_it


class TestApps:
    """The `chat_tools.py` of the installed apps."""

    @pytest.fixture
    def module(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """That of one app, which is installed for the test."""
        module: Any = ModuleType("tests.host.chat_tools")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(
            "waldur_chat.tools.discovery.module_has_submodule", lambda app, name: app.__name__ == "tests.host"
        )
        for kept in (_modules, _tools_of):
            kept.cache_clear()
        yield module
        for kept in (_modules, _tools_of):
            kept.cache_clear()

    def test_their_tools_are_found(self, module: Any, host: Any) -> None:
        @tool(safe=True)
        def hello() -> str:
            """Greet."""
            return "Hello"

        class Own(Tool):
            name = "own"

        Own.__module__ = module.__name__
        vars(module).update(hello=hello, Own=Own, Tool=Tool, number=7)
        host.WALDUR_CHAT = {}
        assert sorted(registry.site_tools().tools) == ["hello", "own"]

    def test_a_function_that_cannot_be_a_tool_leaves_out_itself_alone(self, module: Any, host: Any) -> None:
        vars(module).update(before=tool(name="before")(said), wrong=wrong, after=tool(name="after")(said))
        host.WALDUR_CHAT = {"TOOLS": {"by_path": {"BACKEND": f"{__name__}.wrong"}}}
        assert sorted(registry.site_tools().tools) == ["after", "before"]
        (words,) = said()
        assert words.startswith(f"E030 {__name__}.wrong: it cannot be a tool: TypeError: <class 'bytes'> has no JSON")

    def test_the_setting_comes_before_them(self, module: Any, host: Any) -> None:
        module.own = tool(said)
        host.WALDUR_CHAT = {"TOOLS": {"said": {"VIEW": "project-list"}}}
        assert [words[:4] for words in said()] == ["E026"]
        assert registry.site_tools().tools["said"].needs_request

    def test_a_class_that_cannot_be_made_is_named(self, module: Any) -> None:
        class Needy(Tool):
            name = "needy"

            def __init__(self, key: str) -> None: ...

        Needy.__module__ = module.__name__
        module.Needy = Needy
        assert said()[0].startswith("E030 tests.host.chat_tools.Needy: it cannot be created: TypeError")

    def test_a_module_that_cannot_be_imported_is_named(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, module.__name__, None)
        assert said()[0].startswith("E030 tests.host.chat_tools: it cannot be imported: ModuleNotFoundError")

    def test_there_are_none_here(self) -> None:
        assert list(tools_of_apps()) == []


def test_a_site_without_tools_looks_for_them_once(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn asks for its tools: neither files nor URLs are looked through."""
    host.WALDUR_CHAT = {}
    registry.offered(None, None, conf.load())
    monkeypatch.setattr("waldur_chat.tools.discovery.import_module", None)
    monkeypatch.setattr("waldur_chat.tools.views.description.targets_of", None)
    assert registry.offered(None, None, conf.load()) == []
