"""The package as it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import pytest

HARD = {"django", "djangorestframework", "drf-spectacular", "openai"}


def test_importing_the_package_does_nothing() -> None:
    seen = "import sys; before = set(sys.modules); import waldur_chat; print(*set(sys.modules) - before)"
    printed = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["waldur_chat"]


def test_providers_and_settings_are_imported_before_django_has_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    seen = "import waldur_chat.conf, waldur_chat.providers.openai"
    assert subprocess.run([sys.executable, "-c", seen], check=False, env=environment).returncode == 0


def test_it_brings_no_dependency_beyond_the_hard_ones() -> None:
    try:
        required = requires("waldur-chat") or []
    except PackageNotFoundError:
        pytest.skip("waldur-chat is not installed")
    assert {one.split(">")[0].strip() for one in required if "extra ==" not in one} == HARD
