"""What the documentation says is true: its code runs, and its tables are complete."""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from waldur_chat import chat, errors
from waldur_chat.conf import NAMES, constance
from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.offline import OfflineProvider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.signals import turn_ended
from waldur_chat.testing import scripted

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "waldur_chat"
API = (ROOT / "docs" / "api.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
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


@pytest.mark.parametrize("error", _subclasses(errors.ChatError))
def test_every_error_has_its_code_beside_its_status_on_the_page_of_the_api(error: type[errors.ChatError]) -> None:
    assert any(line.startswith(f"| {error.status} ") and f"`{error.code}`" in line for line in API.splitlines())


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


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for address in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = address.partition("#")
        target = page.parent / path if path else page
        assert target.is_file(), address
        assert not anchor or anchor in _anchors(target), address


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ARCHITECTURE, GLOSSARY], ids=["architecture", "glossary"])
def test_every_file_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_the_map_names_every_layer_and_every_folder() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    layers = set(re.findall(r"\w+", setup["importlinter:contract:layers"]["layers"]))
    folders = {f"{one.name}/" for one in PACKAGE.iterdir() if one.is_dir() and one.name != "__pycache__"}
    assert [name for name in layers | folders if f"`{name}`" not in ARCHITECTURE] == []


def test_the_threads_of_a_process_are_those_of_the_code() -> None:
    source = "".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    listed = set(re.findall(r"^\| `(waldur-chat[\w-]*)` \|", ARCHITECTURE, re.MULTILINE))
    assert listed == set(re.findall(r'(?:Worker|Thread|Executor|in_own_thread)\([^)]*"(waldur-chat[\w-]*)"', source))


def test_every_term_of_the_glossary_is_found_in_its_file() -> None:
    for cells in _terms():
        path = ""
        for name in re.findall(r"`([^`]+)`", cells[2]):
            path = name if name.endswith(".py") else path
            assert name == path or name.endswith("/") or re.search(rf"\b{name}\b", (PACKAGE / path).read_text()), cells


def test_no_term_stands_twice_in_the_glossary() -> None:
    terms = [term for cells in _terms() for term in cells[0].split(", ")]
    assert len(terms) > 60
    assert len(terms) == len(set(terms))


def _terms() -> list[list[str]]:
    """The rows of the glossary: term, meaning, code, API and admin."""
    rows = re.findall(r"^\| (?!term |-)(.+) \|$", GLOSSARY, re.MULTILINE)
    return [re.split(r" ?\| ?", row) for row in rows]


def test_the_python_of_the_api_works(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, options, form, _, counting = blocks("api.md")
    with scripted("Hello", " world") as provider:
        names: dict[str, Any] = {}
        exec(asking, names)
        exec(options, names)
        exec(counting, names)
    assert [prompt.question for prompt in provider.prompts] == ["What is a VPC?", "What is a VPC?", "And a subnet?"]
    assert [message.role for message in provider.prompts[2].messages] == ["system", "user", "assistant", "user"]
    turn_ended.disconnect(names["count"])
    module = ModuleType("mysite_triage")
    monkeypatch.setitem(sys.modules, "mysite_triage", module)
    exec(form, vars(module))
    with scripted('{"topic": "network", "is_urgent": true}'):
        assert module.triage("It is down!") == module.Triage(topic="network", is_urgent=True)
    with scripted("It is urgent."):
        assert module.triage("It is down!") is None
