"""What an entry of a view may say beside its name: offered and fixed parameters, and what the page shows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.tools.conftest import ALICE_BY_TOKEN
from waldur_chat import checks
from waldur_chat.tools import registry
from waldur_chat.tools.results import ToolResult

HERE = __name__
pytestmark = pytest.mark.usefixtures("projects")


def show_names(data: Any) -> tuple[str, Mapping[str, Any]]:
    """Shows the names of rows."""
    return "homeport_nav", {"links": [{"label": row["name"], "url": "javascript:alert()"} for row in data["rows"]]}


def show_nothing(data: Any) -> tuple[str, Mapping[str, Any]]:
    """Shows nothing."""
    return "", {}


def break_off(data: Any) -> tuple[str, Mapping[str, Any]]:
    """Fails."""
    raise LookupError("secret")


@pytest.fixture
def run(settings: Any) -> Any:
    """What a tool gives that is declared like this: `run({"ROWS": 1}, page=2)`."""

    def call(entry: dict[str, Any], **arguments: Any) -> ToolResult:
        settings.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "project-list", **entry}}}
        return ALICE_BY_TOKEN.run(registry.examine().tools["x"], arguments)  # type: ignore[arg-type]

    return call


def names(result: ToolResult) -> list[str]:
    return [row["name"] for row in result.data["rows"]]


def test_a_fixed_parameter_is_sent_and_not_offered(run: Any) -> None:
    assert names(run({"QUERY": {"state": ["frozen"]}})) == ["two"]
    assert "state" not in registry.examine().tools["x"].schema["properties"]
    refused = run({"QUERY": {"state": ("frozen",)}}, state=["active"])
    assert (refused.outcome, "'state' was unexpected" in refused.summary) == ("validation_error", True)


def test_a_fixed_size_of_pages_is_that_of_the_view(run: Any) -> None:
    assert names(run({"QUERY": {"page_size": 1}})) == ["one"]


def test_only_named_parameters_are_offered(run: Any) -> None:
    result = run({"PARAMETERS": ["search", "no_such"]}, search="o")
    assert list(registry.examine().tools["x"].schema["properties"]) == ["search"]
    assert (names(result), result.advice) == (["one", "two"], "Ask for fewer, or use search.")


def test_what_a_view_requires_is_offered_always(run: Any) -> None:
    result = run({"VIEW": "project-detail", "PARAMETERS": ["no_such"]}, id=1)
    assert result.data["name"] == "one"


def test_what_is_shown_is_made_of_the_rows(run: Any) -> None:
    shown = run({"SHOW": f"{HERE}.show_names", "ROWS": 1}).as_json()
    assert (shown["ui_component"], shown["ui_data"]) == ("homeport_nav", {"links": [{"label": "one"}]})


@pytest.mark.parametrize("function", ["show_nothing", "break_off"])
def test_without_a_block_the_model_has_its_rows(run: Any, function: str, caplog: pytest.LogCaptureFixture) -> None:
    result = run({"SHOW": f"{HERE}.{function}"})
    assert (result.outcome, result.ui_component, names(result)) == ("success", "", ["one", "two", "three"])
    failures = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert failures == (["What the tool x shows could not be made"] if function == "break_off" else [])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"SHOW": f"{HERE}.no_such"}, "E030 WALDUR_CHAT['TOOLS']['x']['SHOW']: ImportError "),
        ({"QUERY": {"a": {}}}, "E023 WALDUR_CHAT['TOOLS']['x']['QUERY']: it must be a dict from names to strings, "),
        ({"QUERY": {"": 1}}, "E023 WALDUR_CHAT['TOOLS']['x']['QUERY']: it must be a dict"),
        ({"PARAMETERS": "page"}, "E023 WALDUR_CHAT['TOOLS']['x']['PARAMETERS']: it must be a list of names of arg"),
        ({"OPTIONAL": 1}, "E023 WALDUR_CHAT['TOOLS']['x']['OPTIONAL']: it must be True or False."),
        ({"OPTIONAL": True, "VIEW": "no-such"}, "W035 WALDUR_CHAT['TOOLS']['x']: no URL of the site has the name"),
        ({"OPTIONAL": True, "VIEW": "project-odd"}, "W035 WALDUR_CHAT['TOOLS']['x']: the view 'project-odd' has no"),
        ({"OPTIONAL": True, "VIEW": "chat-threads-list"}, "E027 WALDUR_CHAT['TOOLS']['x']: 'chat-threads-list' is a"),
    ],
)
def test_a_mistake_is_named(settings: Any, entry: dict[str, Any], expected: str) -> None:
    settings.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "project-list", **entry}}}
    (problem,) = registry.examine().problems
    assert f"{problem.check} {problem}".startswith(expected)


def test_what_the_site_need_not_have_is_a_warning(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.WALDUR_CHAT = {"TOOLS": {"x": {"VIEW": "no-such-view", "OPTIONAL": True}}}
    assert registry.site_tools().tools == {}
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert [one.id for one in checks.check_optional_views(None)] == ["waldur_chat.W035"]
