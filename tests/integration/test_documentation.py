"""What the documentation says is true: its code runs, and its tables are complete."""

from __future__ import annotations

import re
import sys
from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest

from waldur_chat import chat, errors
from waldur_chat.conf import NAMES, constance
from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.offline import OfflineProvider
from waldur_chat.providers.openai import OpenAIProvider

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def blocks(name: str) -> list[str]:
    """The Python of a page of the documentation."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_line_on_its_page(name: str) -> None:
    assert f"\n| `{name}` | " in SETTINGS


@pytest.mark.parametrize("option", sorted(COMPLETION_OPTIONS | FURTHER_COMPLETION_OPTIONS))
def test_every_completion_option_is_named_on_the_page_of_settings(option: str) -> None:
    assert f"`{option}`" in SETTINGS


@pytest.mark.parametrize("provider", [OfflineProvider, OpenAIProvider, LangServeProvider])
def test_every_option_of_our_providers_is_named_on_the_page_of_settings(provider: type[Provider]) -> None:
    path = f"{provider.__module__}.{provider.__name__}"
    (line,) = [one for one in SETTINGS.splitlines() if one.startswith(f"| `{path}` |")]
    assert all(f"`{option}`" in line for option in signature(provider).parameters)


@pytest.mark.parametrize("name", constance.NAMES)
def test_every_value_of_constance_is_named_on_the_page_of_settings(name: str) -> None:
    rows = [one for one in SETTINGS.splitlines() if one.startswith(("| `AI_ASSISTANT_", "| `LLM_"))]
    assert any(_is_named(name, row.split(" | ")[0]) for row in rows)


def _is_named(name: str, cell: str) -> bool:
    """Whether a cell has the name, or its end beside a name of the same group."""
    named = re.findall(r"`(\w+)`", cell)
    return name in named or any(name.endswith(one) for one in named if one.startswith("_"))


def _subclasses(error: type[errors.ChatError]) -> list[type[errors.ChatError]]:
    return [one for child in error.__subclasses__() for one in (child, *_subclasses(child))]


@pytest.mark.parametrize("error", [one for one in _subclasses(errors.ChatError) if one is not errors.TurnCancelled])
def test_every_error_has_its_code_beside_its_status_in_the_readme(error: type[errors.ChatError]) -> None:
    assert any(line.startswith(f"| {error.status} ") and f"`{error.code}`" in line for line in README.splitlines())


def test_the_provider_of_the_page_works(monkeypatch: pytest.MonkeyPatch, settings: object) -> None:
    module = ModuleType("mysite_providers")
    exec(blocks("providers.md")[0], vars(module))
    monkeypatch.setitem(sys.modules, "mysite_providers", module)
    entry = {"BACKEND": "mysite_providers.BackwardsProvider", "OPTIONS": {"limit": 2}}
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": entry}}
    answer = chat.invoke("one two three")
    assert (answer.text, answer.reason) == ("three two ", "length")


def test_the_test_of_the_page_passes() -> None:
    exec(blocks("providers.md")[2], {})
