"""Releases the database connections of a thread that is about to wait, or to serve another request."""

from __future__ import annotations

from django.db import connections


def release_connections(*, keep_persistent: bool = False) -> bool:
    """Close this thread's connections (return them to a pool if there is one), except those within a transaction.

    With `keep_persistent` the thread continues with another request, so persistent connections (`CONN_MAX_AGE`) stay
    open. Returns whether none is in a transaction. Django reopens connections when they are needed.
    """
    open_connections = connections.all(initialized_only=True)
    for connection in open_connections:
        if connection.in_atomic_block:
            continue
        if keep_persistent:
            connection.close_if_unusable_or_obsolete()
        else:
            connection.close()
    return not any(connection.in_atomic_block for connection in open_connections)
