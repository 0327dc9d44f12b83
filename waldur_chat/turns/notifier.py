"""Waits for changes in the database: by LISTEN on PostgreSQL, elsewhere by a pause before the next poll."""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import Any

from django.db import connection, connections

from waldur_chat.store.turns.partials import CHANNEL

LISTEN_SECONDS = 1.0
"""Longest wait for a notification: a connection pooler may drop them."""


class ChangeNotifier:
    """Listens on this thread's database connection. Used in one thread."""

    def __init__(self) -> None:
        self._listens_on: Any = None

    def wait(self, seconds: float) -> None:
        """Wait for a notification; without LISTEN, release the connection and wait so many seconds.

        The next query reads the notification from the connection.
        """
        if connection.vendor != "postgresql":
            connections.close_all()
            time.sleep(seconds)
        elif self._is_listening():
            with selectors.DefaultSelector() as selector:
                selector.register(connection.connection, selectors.EVENT_READ)
                selector.select(LISTEN_SECONDS)

    def close(self) -> None:
        """Stop listening and release the connection."""
        if self._listens_on is not None and self._listens_on is connection.connection:
            with connection.cursor() as cursor:
                cursor.execute(f"UNLISTEN {CHANNEL}")  # A pool passes the session to others.
        self._listens_on = None
        connections.close_all()

    def _is_listening(self) -> bool:
        """Listen, and return whether this connection did so before; if not, poll first for earlier changes."""
        connection.ensure_connection()
        if self._listens_on is connection.connection:
            return True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self._listens_on = connection.connection
        _discard_notifications(self._listens_on)
        return False


def _discard_notifications(listening: Any) -> None:
    """Drop the contents of notifications: psycopg keeps them for a reader, and this one needs only the wake-up.

    psycopg 2 appends them to a public list. psycopg 3.2.4 and newer keep a backlog unless there is a handler; releases
    before the fix of https://github.com/psycopg/psycopg/issues/1091 keep it in any case. To be kept as long as psycopg
    has the backlog.
    """
    if hasattr(listening, "add_notify_handler"):
        listening.add_notify_handler(lambda _: None)
    else:
        listening.notifies = deque(maxlen=1)
