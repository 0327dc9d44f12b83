"""Ends turns whose process died, in a thread of its own: there may be hundreds, and those that live must not wait."""

from __future__ import annotations

import logging

from django.db import connections

from waldur_chat.engine import running_turns
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.store.turns import finish

logger = logging.getLogger("waldur_chat.lifecycle")

TIMEOUT_SECONDS = 60.0
"""There may be hundreds of them."""


class Reaper:
    """Of one process. Used from any thread."""

    def __init__(self) -> None:
        self._thread = SupervisedThread("waldur-chat-abandoned", _clear, TIMEOUT_SECONDS)

    def look(self) -> None:
        """Begin to end them where there are any, unless that is being done."""
        if not self._thread.runs and finish.has_expired():
            self._thread.go()


def _clear(run: Run) -> None:
    try:
        with run.operation():
            finish.finish_expired(running_turns.find)
    except Exception as error:  # Whatever it is, somebody looks again.
        logger.error("Turns whose process died could not be ended: %s", type(error).__name__)
    finally:
        connections.close_all()


reaper_of_process = PerProcess(Reaper)
