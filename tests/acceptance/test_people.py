"""Another kind of host: what is stored and counted there, by the tests of just that."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.processes import ROOT

TESTS = (
    *("admin", "asking", "budget_store", "endings", "erase", "export", "history", "keeping", "messages_api", "modes"),
    *("prompts_api", "quota_api", "sessions_api", "sql", "threads_api", "titles", "turns", "users"),
)


def test_users_may_have_any_key_and_our_tables_are_read_where_they_are_written() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-q", "--ds=tests.people.settings", "--tb=short"]
    done = subprocess.run(
        [*command, *(f"tests/integration/test_{name}.py" for name in TESTS)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
