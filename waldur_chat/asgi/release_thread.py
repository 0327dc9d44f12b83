"""A request that waits for a model occupies nothing: no database connection, and under ASGI no thread."""

from __future__ import annotations

from asgiref import sync

from waldur_chat.asgi import executor
from waldur_chat.runtime import shortcuts
from waldur_chat.runtime.connections import release_connections


async def release_request_thread(*, holds_connections: bool = True) -> None:
    """End the thread in which Django runs what is synchronous of an ASGI request; it starts another when it needs one.

    Without that each stream would keep a thread to its end. `holds_connections` says whether the thread may have open
    connections. Where middleware of the host waits in the thread, only the connections are given back.
    """
    own = executor.current()
    if own:
        is_needed = own.is_busy
        own.release()
        if not is_needed:
            return
    if holds_connections:
        await sync.sync_to_async(release_connections)()
    if own is None and shortcuts.is_on("release_thread"):
        _end_thread()


def _end_thread() -> None:
    """End that of asgiref's. One with an executor of somebody's is his, and one where somebody waits is needed."""
    context = sync.SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) or getattr(sync.AsyncToSync.executors, "current", None):
        return
    if thread := sync.SyncToAsync.context_to_thread_executor.pop(context, None):
        thread.shutdown(wait=False)
