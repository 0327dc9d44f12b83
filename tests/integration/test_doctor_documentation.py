"""docs/doctor.md lists every finding of the doctor, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser

from waldur_chat.doctor import findings
from waldur_chat.management.commands.chat_doctor import Command

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "doctor.md").read_text()


def test_the_page_has_the_table_of_findings() -> None:
    rows = [f"| `{kind.id}` | {kind.cause} | `{kind.cure}` |" for kind in findings.KINDS.values()]
    assert [line for line in PAGE.splitlines() if re.match(r"\| `[a-z]\w+` \|", line)] == rows


def test_every_argument_is_on_the_page() -> None:
    parser = Command().create_parser("manage.py", "chat_doctor")
    usual = BaseCommand().create_parser("manage.py", "chat_doctor")
    ours = _options(parser) - _options(usual)
    assert len(ours) == 10
    assert [option for option in ours if option not in PAGE] == []


def _options(parser: CommandParser) -> set[str]:
    return set(re.findall(r"--[\w-]+", parser.format_help()))


def test_every_kind_can_be_found_and_nothing_else() -> None:
    source = "".join(file.read_text() for file in (ROOT / "waldur_chat" / "doctor").glob("*.py"))
    source += (ROOT / "waldur_chat" / "management" / "commands" / "chat_doctor.py").read_text()
    named = set(re.findall(r'"([a-z]+(?:_[a-z0-9]+)+|cached|redirected|unframed)"', source))
    assert findings.KINDS.keys() - named - set(findings.IN_APPLICATION.values()) == set()
    called = set(re.findall(r'make_finding\("(\w+)"', source))
    assert len(called) > 10
    assert called - findings.KINDS.keys() == set()


def test_what_is_called_otherwise_in_the_application_exists() -> None:
    assert {*findings.IN_APPLICATION, *findings.IN_APPLICATION.values()} <= findings.KINDS.keys()
