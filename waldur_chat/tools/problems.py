"""What is wrong with a tool, so that it is left out. The checks report it, and the log does once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolProblem:
    """A problem: the id of its check, the place in the settings or in the code, and a sentence."""

    check: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ToolRefused(Exception):
    """Cannot be a tool. `problem` says why."""

    def __init__(self, problem: ToolProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@cache
def report(problem: ToolProblem) -> None:
    """Log a problem, once in a process."""
    level = logging.WARNING if problem.check.startswith("W") else logging.ERROR
    logger.log(level, "A tool is left out: %s", problem)
