"""docs/runbook.md names nothing that does not exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.management import get_commands, load_command_class

import waldur_chat
from waldur_chat import errors
from waldur_chat.conf.settings import Settings
from waldur_chat.doctor import findings

PACKAGE = Path(waldur_chat.__file__).parent
DOCS = PACKAGE.parent / "docs"
PAGE = (DOCS / "runbook.md").read_text()
SOURCE = "".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
ROWS = [row.split(" | ") for row in re.findall(r"^\| (?!symptom|-)(.+) \|$", PAGE, re.MULTILINE)]
CODES = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ChatError)}
ELSEWHERE = {
    "AI_ASSISTANT_ENABLED", "DATABASES", "DEFAULT_THROTTLE_RATES", "FALLBACK", "HTTPS_PROXY", "OPENAI_BASE_URL",
    "PROMETHEUS_MULTIPROC_DIR", "WALDUR_CHAT_MODEL", "SERVER",
}  # fmt: skip
"""Names in capitals that are not keys of `WALDUR_CHAT`."""


def test_each_row_has_a_symptom_a_place_and_a_cure() -> None:
    assert len(ROWS) > 30
    assert [row[0] for row in ROWS if len(row) != 3] == []


def test_settings_exist() -> None:
    ours = {field.name.upper() for field in fields(Settings) if field.metadata.get("is_setting", True)}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", PAGE))
    assert len(named & ours) > 20
    assert named - ours - ELSEWHERE == set()
    assert ELSEWHERE - {"SERVER"} <= named
    unknown = ELSEWHERE - {"SERVER", "DATABASES", "DEFAULT_THROTTLE_RATES", "HTTPS_PROXY"}
    assert [name for name in unknown if name not in SOURCE] == []


def test_codes_of_errors_exist() -> None:
    named = set()
    for symptom, *_ in ROWS:
        if "`" in symptom and re.search(r"\b[45]\d\d\b|streams: |_", symptom):
            named |= set(re.findall(r"`([a-z_]+)`", symptom))
    assert len(named) > 20
    assert named - CODES == {"throttled"}  # DRF's own.


@pytest.mark.parametrize("status", ["404", "409", "422", "429", "500", "502", "503", "504"])
def test_codes_have_their_status(status: str) -> None:
    found = re.findall(rf"{status} (`\w+`(?:, `\w+`)*)", "\n".join(row[0] for row in ROWS))
    named = {code for codes in found for code in re.findall(r"\w+", codes)} - {"throttled"}
    assert named
    assert {code: errors.kind_of_code(code).status for code in named} == dict.fromkeys(named, int(status))


def test_findings_of_the_doctor_exist() -> None:
    lists = re.findall(r"doctor: (`\w+`(?:, `\w+`)*)", PAGE)
    named = {name for found in lists for name in re.findall(r"\w+", found)}
    assert len(named) > 15
    assert named - findings.KINDS.keys() == set()


def test_metrics_exist() -> None:
    families = (PACKAGE / "metrics" / "families.py").read_text()
    named = set(re.findall(r"`(waldur_chat_\w+)`", PAGE))
    assert len(named) > 10
    assert [name for name in named if f'"{name}"' not in families] == []


def test_checks_exist() -> None:
    named = set(re.findall(r"waldur_chat\.([EW]\d+)", PAGE))
    assert named
    checks = "".join(path.read_text() for path in sorted((PACKAGE / "checks").rglob("*.py")))
    assert [name for name in named if name not in checks] == []


def test_commands_have_these_options() -> None:
    commands = get_commands()
    named = re.findall(r"manage\.py (\w+)([^`]*)`", PAGE)
    assert {name for name, _ in named} == {"check", "chat_doctor", "chat_tools", "chat_cleanup", "migrate"}
    for name, arguments in named:
        options = load_command_class(commands[name], name).create_parser("manage.py", name).format_help()
        assert [option for option in re.findall(r"--[\w-]+", arguments) if option not in options] == [], name


def test_words_of_the_log_are_logged() -> None:
    places = [part for row in ROWS for part in row[1].split("; ") if part.startswith("log: ")]
    named = [words for place in places for words in re.findall(r"`([^`]+)`", place)]
    assert len(named) > 12
    assert [words for words in named if words not in SOURCE] == []


def test_pages_of_the_admin_exist() -> None:
    pages = {str(model._meta.verbose_name_plural) for model in admin.site._registry}
    named = {page for found in re.findall(r"admin: ([a-z ,]+?)(?: \||;|, with)", PAGE) for page in found.split(", ")}
    assert len(named) >= 4
    assert named - pages == set()
