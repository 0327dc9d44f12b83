"""Waits for news in the database: PostgreSQL rings (LISTEN), other databases are looked at again after a while."""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import Any

from django.db import connection, connections

from waldur_chat.store.turns.partials import CHANNEL

RINGING_SECONDS = 1.0
"""How long it waits at most where PostgreSQL rings: a pooler between may swallow that."""


class ChangeNotifier:
    """Listens on this thread's connection of the database. Used in one thread."""

    def __init__(self) -> None:
        self._listens_on: Any = None

    def wait(self, seconds: float) -> None:
        """Wait for news, so many seconds where nobody rings. There the connection is given back meanwhile.

        What came with the ring is read with the next query.
        """
        if connection.vendor != "postgresql":
            connections.close_all()
            time.sleep(seconds)
        elif self._is_listening():
            with selectors.DefaultSelector() as selector:
                selector.register(connection.connection, selectors.EVENT_READ)
                selector.select(RINGING_SECONDS)

    def close(self) -> None:
        """Stop listening, and give the connection back."""
        if self._listens_on is not None and self._listens_on is connection.connection:
            with connection.cursor() as cursor:
                cursor.execute(f"UNLISTEN {CHANNEL}")  # A pool gives it to others.
        self._listens_on = None
        connections.close_all()

    def _is_listening(self) -> bool:
        """False when it has only begun to: what was written before is to be looked for first."""
        connection.ensure_connection()
        if self._listens_on is connection.connection:
            return True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self._listens_on = connection.connection
        _keep_no_notifications(self._listens_on)
        return False


def _keep_no_notifications(listening: Any) -> None:
    """What rang does not matter, but psycopg, in either version, keeps it for somebody to read."""
    if hasattr(listening, "add_notify_handler"):
        listening.add_notify_handler(lambda _: None)
    else:
        listening.notifies = deque(maxlen=1)
