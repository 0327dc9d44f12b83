"""Ends turns whose process died, in a thread of its own: there may be hundreds, and those that live must not wait."""

from __future__ import annotations

import logging
import os
import threading

from django.db import connections

from waldur_chat.store import endings

logger = logging.getLogger(__name__)


class Clearing:
    """Of one process. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begin to end them where there are any, unless that is being done."""
        with self._lock:
            if not (self._thread and self._thread.is_alive()) and endings.are_abandoned():
                self._thread = threading.Thread(target=_clear, name="waldur-chat-abandoned", daemon=True)
                self._thread.start()


def _clear() -> None:
    try:
        endings.end_abandoned()
    except Exception as error:  # Whatever it is, somebody looks again.
        logger.error("Turns whose process died could not be ended: %s", type(error).__name__)
    finally:
        connections.close_all()


_clearing = Clearing()


def clearing_of_process() -> Clearing:
    """The one of this process."""
    return _clearing


def _forget() -> None:
    """Called in a forked child: the parent's thread is not here, and its lock may be held for ever."""
    global _clearing
    _clearing = Clearing()


os.register_at_fork(after_in_child=_forget)
