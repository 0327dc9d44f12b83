"""Waits for changes in the database: by LISTEN on PostgreSQL, elsewhere and behind poolers by a pause before polls."""

from __future__ import annotations

import logging
import selectors
import time
from collections import deque
from typing import Any

from django.db import connection, connections

from waldur_chat.store.turns.partials import CHANNEL

logger = logging.getLogger("waldur_chat.lifecycle")

LISTEN_SECONDS = 1.0
"""Longest wait for a notification, which may be lost with its connection."""


class ChangeNotifier:
    """Listens on this thread's database connection. Used in one thread."""

    def __init__(self) -> None:
        self._listens_on: Any = None
        self._is_direct: bool | None = None
        """Whether the connection leads to one session of the server; None while that is not known."""

    def wait(self, seconds: float) -> None:
        """Wait for a notification; without LISTEN, release the connection and wait so many seconds.

        The next query reads the notification from the connection.
        """
        if not self._can_listen():
            connections.close_all()
            time.sleep(seconds)
        elif self._is_listening():
            with selectors.DefaultSelector() as selector:
                selector.register(connection.connection, selectors.EVENT_READ)
                selector.select(LISTEN_SECONDS)

    def close(self) -> None:
        """Stop listening and release the connection. Ignores errors: a broken session listens no more."""
        try:
            if self._listens_on is not None and self._listens_on is connection.connection:
                with connection.cursor() as cursor:
                    cursor.execute(f"UNLISTEN {CHANNEL}")  # A pool passes the session to others.
        except Exception:  # Any error: the thread ends.
            logger.debug("A session that listened is gone.", exc_info=True)
        finally:
            self._listens_on = None
            connections.close_all()

    def _can_listen(self) -> bool:
        """Whether the database can notify this connection: PostgreSQL, and no pooler of transactions in between.

        Behind a pooler LISTEN would stay in a session that others use, and psycopg keeps their notifications for ever.
        A pooler gives its clients numbers of processes that are not the server's.
        """
        if connection.vendor == "postgresql" and self._is_direct is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._is_direct = cursor.fetchone() == (connection.connection.info.backend_pid,)
        return bool(self._is_direct)

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
