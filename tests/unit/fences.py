"""Cases of fenced code, which Python and the script of the chat page read alike: `fences.json`.

Each has a text and its blocks: markdown is a string, code an object with tag and text. `open` is the fence that is open
at the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text())

each_case = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
