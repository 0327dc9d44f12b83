"""Ends turns whose process died. Its thread is separate from the heartbeat, since there may be hundreds."""

from __future__ import annotations

import logging

from django.db import connections

from waldur_chat.engine import running_turns
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.store.turns import finish

logger = logging.getLogger("waldur_chat.lifecycle")

TIMEOUT_SECONDS = 60.0
"""Long enough to end hundreds of turns."""


class Reaper:
    """The reaper of one process. Used from any thread."""

    def __init__(self) -> None:
        self._thread = SupervisedThread("waldur-chat-reaper", _reap, TIMEOUT_SECONDS)

    def reap_expired(self) -> None:
        """Start to end expired turns if there are any, unless that is running."""
        if not self._thread.runs and finish.has_expired():
            self._thread.start()


def _reap(run: Run) -> None:
    try:
        with run.operation():
            finish.finish_expired(running_turns.find)
    except Exception as error:  # Any error: the next call tries again.
        logger.error("Turns whose process died could not be ended: %s", type(error).__name__)
    finally:
        connections.close_all()


reaper_of_process = PerProcess(Reaper)
