"""The map of the package: what a newcomer takes in at once, and names that mean one thing."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

import waldur_chat

PACKAGE = Path(waldur_chat.__file__).parent
MODULES = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
IN_TWO_MODULES = {
    "Answer",  # chat's and the client's, which are two packages to their users.
    "ChatError",  # The same.
    "Command",  # Django wants the name.
    "Failed",  # An event, and the client's error of the same.
    "Message",  # What a model is told, and the row.
    "Turn",  # What runs, and the row.
}


def test_no_folder_holds_more_than_one_takes_in() -> None:
    shown = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".js") and path.name != "__init__.py"]
    count = Counter(path.parent for path in shown if "migrations" not in path.parts)
    assert count.pop(PACKAGE) <= 16
    assert {str(folder): number for folder, number in count.items() if number > 14} == {}


def test_no_file_is_longer_than_three_hundred_lines() -> None:
    lines = {str(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: number for path, number in lines.items() if number > 300} == {}


def test_no_cursor_of_the_server_is_used() -> None:
    """A pooler of connections in transaction mode (PgBouncer) gives the next query to another connection."""
    assert [str(path) for path in MODULES if ".iterator(" in path.read_text()] == []


def test_no_class_name_means_two_things() -> None:
    found = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1 and name not in IN_TWO_MODULES} == {}
