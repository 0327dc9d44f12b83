"""The tools of a site are made once for the same settings, URLs and language, although each turn asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from waldur_chat.tools import registry
from waldur_chat.tools.declarations import MOST_KEPT, _kept, declared_tools
from waldur_chat.tools.views import view_tool

ENTRY = {"VIEW": "project-list"}


@pytest.fixture(autouse=True)
def made(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A site with a view as a tool. Returns the views that are described from now on."""
    settings.ROOT_URLCONF = "tests.projects.urls"
    settings.WALDUR_CHAT = {"TOOLS": {"x": ENTRY}}
    names: list[str] = []
    describe = view_tool.describe

    def noted(view: str, *arguments: Any) -> Any:
        names.append(view)
        return describe(view, *arguments)

    monkeypatch.setattr(view_tool, "describe", noted)
    _kept.clear()
    return names


def test_the_same_settings_give_the_same_tools(made: list[str]) -> None:
    first = registry.find("x")
    assert registry.find("x") is first
    assert made == ["project-list"]


def test_another_language_has_tools_of_its_own(made: list[str]) -> None:
    first = registry.find("x")
    with translation.override("de"):
        assert registry.find("x") is not first
    assert len(made) == 2


def test_settings_that_were_changed_in_place_give_others(settings: Any) -> None:
    assert registry.find("y") is None
    settings.WALDUR_CHAT["TOOLS"]["y"] = {**ENTRY, "ROWS": 1}
    assert registry.find("y") is not None


def test_few_settings_are_kept() -> None:
    for rows in range(1, MOST_KEPT + 2):
        declared_tools({"x": {**ENTRY, "ROWS": rows}})
    assert len(_kept) == 1


def test_a_schema_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.examine()
    monkeypatch.setattr(registry, "schema_problem", None)
    assert list(registry.examine().tools) == ["x"]


def test_who_gets_a_tool_is_asked_each_time(django_user_model: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TOOLS": {"x": {"BACKEND": "tests.integration.tools.chat_tools.quote", "ROLES": "staff"}}}
    user = django_user_model(is_staff=False)
    assert registry.offered(user, None) == []
    user.is_staff = True
    assert [tool.name for tool in registry.offered(user, None)] == ["x"]
