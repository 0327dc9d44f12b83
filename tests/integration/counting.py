"""Counts statements to the database, those of other threads too, but for threads that look when it is time to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from django.db.backends.base.base import BaseDatabaseWrapper

TIMED = ("waldur-chat-heartbeat", "waldur-chat-reaper")


class _Statements(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName in TIMED:
            return
        self.found.append(str(getattr(record, "sql", "")))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements while the context lasts, with those that begin and end transactions."""
    logger, statements = logging.getLogger("django.db.backends"), _Statements()
    with mock.patch.object(BaseDatabaseWrapper, "queries_logged", True), mock.patch.object(logger, "disabled", False):
        level = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(statements)
        try:
            yield statements.found
        finally:
            logger.removeHandler(statements)
            logger.setLevel(level)
