"""What we take of other libraries stands in a list, in tables and in the documentation."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from waldur_chat.runtime.shortcuts import NEEDS, SHORTCUTS, Need, Shortcut

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / ".ci" / "internals"
PAGE = (ROOT / "docs" / "internals.md").read_text()


@pytest.fixture(scope="module")
def internals() -> ModuleType:
    """The script, as a module."""
    loader = SourceFileLoader("internals", str(SCRIPT))
    spec = spec_from_loader("internals", loader)
    assert spec
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def test_the_list_has_all_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(row): return row._meta", {"._meta"}),
        ("def f(row): return getattr(row, '_meta', None)", {"._meta"}),
        ("class A:\n    _own = 1\ndef f(a: A): return a._own", set()),
        ("class A:\n    def __init__(self): self._own = 1\ndef f(a: A): return a._own", set()),
        ("class A:\n    __slots__ = ('_own',)\ndef f(a: A): return a._own", set()),
        ("class A(B):\n    def f(self): return self._inherited", {"._inherited"}),
        ("def f(a): return a.__class__", set()),
        ("import httpx\nhttpx.get = 1", {"import httpx", "httpx.get ="}),
        ("from httpx import Client\nsetattr(Client, 'get', 1)", {"import httpx", "httpx.Client.* ="}),
        ("from httpx import Client\ndel Client.get", {"import httpx", "httpx.Client.get ="}),
        ("def f(client): client.get = 1", {".get ="}),
        ("class A:\n    get: int = 0\ndef f(a: A): a.get = 1", set()),
        ("from httpx import _client", {"import httpx", "import httpx._client"}),
        ("import os, waldur_chat.chat\nfrom . import other", set()),
        ("from importlib import import_module\nimport_module('uwsgi')\nimport_module(name)", {"import uwsgi"}),
    ],
)
def test_what_is_found(source: str, found: set[str], internals: ModuleType) -> None:
    assert {what for what, _ in internals._found({"own.py": ast.parse(source)})} == found


def test_what_the_list_names_is_allowed_and_comments_are_not(internals: ModuleType) -> None:
    assert internals._allowed(["# ._a", "._b  # why", "", "import c"]) == {"._b", "import c"}


def line(*cells: str) -> str:
    """A line of a table of the page."""
    return f"| {' | '.join(cells)} |"


def of_shortcut(one: Shortcut) -> str:
    """Its line."""
    names = [f"`{need.path}`" for need in one.needs]
    since = [f"`{one.since.path}({', '.join(one.since.parameters)})`"] if one.since else []
    return line(
        f"`{one.name}`",
        one.what,
        one.without,
        f"{one.package}: {one.tried}",
        "; ".join([*names, *since, *one.attributes]),
    )


def of_need(one: Need) -> str:
    """Its line."""
    return line(f"`{one.path}`", one.what, f"{one.package}: {one.tried}")


def test_the_page_has_both_tables_and_no_other_lines() -> None:
    lines = [each for each in PAGE.splitlines() if each.startswith("| `")]
    assert lines == [*map(of_shortcut, SHORTCUTS), *map(of_need, NEEDS)]
