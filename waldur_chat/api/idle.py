"""A request that waits for a model occupies nothing: no database connection, and under ASGI no thread."""

from __future__ import annotations

from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async

from waldur_chat.api import executor
from waldur_chat.api.kept_threads import give_back_connections


async def give_back_thread(*, holds_connections: bool = True) -> None:
    """End the thread in which Django runs what is synchronous of an ASGI request; it starts another when it needs one.

    Without that each stream would keep a thread to its end. `holds_connections` says whether the thread may have open
    connections. Where middleware of the host waits in the thread, only the connections are given back.
    """
    if own := executor.kept():
        own.rest()
        return
    if holds_connections:
        await sync_to_async(give_back_connections)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) or getattr(AsyncToSync.executors, "current", None):
        return  # It is no thread of this request alone, or somebody is waiting in it.
    if thread := SyncToAsync.context_to_thread_executor.pop(context, None):
        thread.shutdown(wait=False)
