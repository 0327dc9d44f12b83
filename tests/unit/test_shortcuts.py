"""The tables of what no library promises, and what turns shortcuts off."""

from __future__ import annotations

import logging
import pkgutil
import re
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import waldur_chat
from waldur_chat.runtime import shortcuts
from waldur_chat.runtime.shortcuts import NEEDS, SHORTCUTS, Name, Shortcut

pytestmark = pytest.mark.usefixtures("with_shortcuts")

ROOT = Path(waldur_chat.__file__).parent


def row(*needs: Name, since: Name | None = None) -> Shortcut:
    return Shortcut(
        name="own", what="it is short", without="it is long", package="Python", tried="3", needs=needs, since=since
    )


def is_old(since: Name) -> bool:
    """Whether the release has not got it yet."""
    return not set(since.parameters) <= signature(pkgutil.resolve_name(since.path)).parameters.keys()


def is_on(one: Shortcut, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(shortcuts, "SHORTCUTS", (one, *SHORTCUTS))  # A turn of an earlier test may ask for another.
    return shortcuts.is_on(one.name)


def test_the_tables_are_short() -> None:
    assert len(SHORTCUTS) <= 12
    assert len(NEEDS) <= 6
    assert len({one.name for one in SHORTCUTS}) == len(SHORTCUTS)


def test_each_shortcut_is_asked_for_in_one_place() -> None:
    source = "".join(path.read_text() for path in ROOT.rglob("*.py"))
    assert sorted(re.findall(r'is_on\("(\w+)"\)', source)) == sorted(one.name for one in SHORTCUTS)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.path)
def test_what_we_cannot_do_without_is_there(need: shortcuts.Need) -> None:
    owner, _, name = need.path.rpartition(".")
    assert name in pkgutil.resolve_name(owner).__init__.__code__.co_names


def test_none_is_off_in_the_releases_that_we_test(caplog: pytest.LogCaptureFixture) -> None:
    assert shortcuts.missing() == []
    for one in SHORTCUTS:
        assert shortcuts.is_on(one.name) is (shortcuts.is_installed(one) and not (one.since and is_old(one.since)))
    assert not caplog.records


@pytest.mark.parametrize(
    ("need", "is_known"),
    [
        (Name(path="pkgutil.resolve_name"), True),
        (Name(path="pkgutil.resolve_name", parameters=("name",)), True),
        (Name(path="pkgutil.resolve_name", parameters=("other",)), False),
        (Name(path="pkgutil.no_such_name"), False),
        (Name(path="pkgutil.no.such.module"), False),
        (Name(path="pkgutil.find_loader.__class__", parameters=("a",)), False),
        (
            Name(path="textwrap.indent", uses=frozenset({"strip", "str", "isspace", "append", "splitlines", "join"})),
            True,
        ),
        (Name(path="textwrap.dedent", uses=frozenset({"sub"})), False),
        (Name(path="textwrap.TextWrapper", uses=frozenset({"sub"})), False),
    ],
)
def test_one_is_off_where_a_name_is_missing_or_not_as_it_was(
    need: Name, is_known: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert is_on(row(need), monkeypatch) is is_known
    assert is_on(row(need), monkeypatch) is is_known
    assert len(caplog.records) == (not is_known)  # Once in a process.
    assert [path for _, path in shortcuts.missing()] == ([] if is_known else [need.path])


def test_nobody_complains_of_a_library_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_on(row(Name(path="no_such_library.name")), monkeypatch)
    assert (caplog.records, shortcuts.missing()) == ([], [])


def test_nobody_complains_of_what_a_release_does_not_have_yet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_on(row(since=Name(path="pkgutil.resolve_name", parameters=("later",))), monkeypatch)
    assert (caplog.records, shortcuts.missing()) == ([], [])


@pytest.mark.parametrize("own", [{"SHORTCUTS": False}, {"SHORTCUTS": True}, {}, None])
def test_the_setting_turns_all_off(own: dict[str, Any] | None, settings: Any) -> None:
    settings.WALDUR_CHAT = own
    is_wanted = (own or {}).get("SHORTCUTS", True)
    assert {shortcuts.is_on(name) for name in ("inline_middleware", "release_thread", "server_socket")} == {is_wanted}


def test_the_environment_turns_all_off_and_no_check_complains(
    no_shortcuts: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not any(shortcuts.is_on(one.name) for one in SHORTCUTS)
    monkeypatch.setattr(shortcuts, "SHORTCUTS", (row(Name(path="pkgutil.no_such_name")), *SHORTCUTS))
    assert (shortcuts.missing(), caplog.records) == ([], [])


def test_a_process_asks_once(settings: Any) -> None:
    assert shortcuts.is_on("release_thread")
    settings.WALDUR_CHAT = {"SHORTCUTS": False}
    assert shortcuts.is_on("release_thread")
