"""No database connection is borrowed while a model is asked."""

from __future__ import annotations

from django.db import connections


def give_back_connections() -> bool:
    """Close this thread's connections (to a pool where there is one), except those within a transaction.

    Tells whether none is left open. Django opens them again when they are needed.
    """
    opened = connections.all(initialized_only=True)
    for connection in opened:
        if not connection.in_atomic_block:
            connection.close()
    return not any(connection.in_atomic_block for connection in opened)
