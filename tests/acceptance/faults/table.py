"""The table of faults as Markdown, between two markers of `docs/reliability.md`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from tests.processes import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"
SERVERS = {"uvicorn": "uvicorn", "gunicorn-gthread": "gunicorn"}
ENDPOINTS = ("stream", "invoke")
COLUMNS = list(product(SERVERS, ENDPOINTS))

Cell = tuple[str, str]
"""A server and an endpoint."""


@dataclass
class Measured:
    """One row: what the client was told and in which time, and what was left behind."""

    told: dict[Cell, str] = field(default_factory=dict)
    left: dict[Cell, str] = field(default_factory=dict)

    def note(self, server: str, endpoint: str, told: str, seconds: float, left: str) -> None:
        """Note one measurement; seconds are so coarse that the table stays the same from run to run."""
        self.told[server, endpoint] = f"{told}, < {math.floor(seconds) + 1} s"
        self.left[server, endpoint] = left

    @property
    def is_complete(self) -> bool:
        """Whether every column was measured."""
        return set(self.told) == set(COLUMNS)

    def line(self, name: str) -> str:
        """The row of the table."""
        left = "; ".join(sorted(set(self.left.values())))
        return f"| {' | '.join([name, *(self.told[cell] for cell in COLUMNS), left])} |"


def write(rows: Iterable[tuple[str, Measured]]) -> None:
    """Put the table into the page."""
    heads = ["fault", *(f"{SERVERS[server]} {endpoint}" for server, endpoint in COLUMNS), "left behind"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(measured.line(name) for name, measured in rows)]
    before, _, after = _parts()
    table = "".join(f"{line}\n" for line in lines)
    PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}")


def read() -> dict[str, list[str]]:
    """What the page's table says: by fault, what the client is told in each column, without the times."""
    _, table, _ = _parts()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return {row[0]: [re.sub(r", < \d+ s$", "", cell) for cell in row[1:5]] for row in rows}


def _parts() -> tuple[str, str, str]:
    """What stands before, between and behind the markers."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    table, end, after = rest.partition(END)
    assert all((begin, end)), f"{PAGE} has no place for the table"
    return before, table, after
