"""What a test needs beside the package: without it the test is skipped, but where `CI` is "true" it fails."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest


def module(name: str) -> Any:
    """The module of this name."""
    try:
        return import_module(name)
    except ImportError as error:
        missing(f"the Python module {name} ({error})")


def program(name: str) -> str:
    """The address of the program of this name, from the running Python's environment or from `PATH`."""
    beside = Path(sys.executable).parent
    return shutil.which(name, path=f"{beside}{os.pathsep}{os.environ['PATH']}") or missing(f"the program {name}")


def nginx() -> str:
    """The address of nginx, which Debian has where only root looks for programs."""
    debian = Path("/usr/sbin/nginx")
    return str(debian) if debian.exists() else program("nginx")


def missing(what: str) -> NoReturn:
    """Skip or fail for want of this."""
    reason = f"this test needs {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
