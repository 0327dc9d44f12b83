"""A request that waits for a model occupies nothing: no database connection, and under ASGI no thread."""

from __future__ import annotations

from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async
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


async def give_back_thread(*, holds_connections: bool = True) -> None:
    """End the thread in which Django runs what is synchronous of an ASGI request; it starts another when it needs one.

    Without that each stream would keep a thread to its end. `holds_connections` says whether the thread may have open
    connections. Where middleware of the host waits in the thread, only the connections are given back.
    """
    if holds_connections:
        await sync_to_async(give_back_connections)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) or getattr(AsyncToSync.executors, "current", None):
        return  # It is no thread of this request alone, or somebody is waiting in it.
    if executor := SyncToAsync.context_to_thread_executor.pop(context, None):
        executor.shutdown(wait=False)
