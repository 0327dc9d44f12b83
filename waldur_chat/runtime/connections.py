"""The database connections of a thread that is about to wait, or to serve somebody else."""

from __future__ import annotations

from django.db import connections


def give_back_connections(*, keeps: bool = False) -> bool:
    """Close this thread's connections (to a pool where there is one), except those within a transaction.

    `keeps` says that the thread goes on to another request: persistent ones (`CONN_MAX_AGE`) stay open then. Tells
    whether none is in a transaction. Django opens them again when they are needed.
    """
    opened = connections.all(initialized_only=True)
    for connection in opened:
        if connection.in_atomic_block:
            continue
        if keeps:
            connection.close_if_unusable_or_obsolete()
        else:
            connection.close()
    return not any(connection.in_atomic_block for connection in opened)
