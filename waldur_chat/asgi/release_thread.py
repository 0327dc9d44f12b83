"""Release the thread and the database connections of a request while it waits for a model."""

from __future__ import annotations

from asgiref import sync

from waldur_chat.asgi import executor
from waldur_chat.runtime import shortcuts
from waldur_chat.runtime.connections import release_connections


async def release_request_thread(*, holds_connections: bool = True) -> None:
    """End the thread in which Django runs the synchronous parts of an ASGI request. Django starts another on demand.

    Otherwise each stream would occupy a thread to its end. `holds_connections` says whether the thread may have open
    connections. If middleware of the host is blocked in the thread, only the connections are released.
    """
    request_executor = executor.current()
    if request_executor:
        is_blocked = request_executor.is_busy
        request_executor.release()
        if not is_blocked:
            return
    if holds_connections:
        # Connections belong to the thread that opened them, so they are released there.
        await sync.sync_to_async(release_connections)()
    if request_executor is None and shortcuts.is_on("release_thread"):
        _end_thread()


def _end_thread() -> None:
    """End the thread that asgiref keeps for this request, if nothing else needs it.

    Left alone: the executor of another package, which that package ends, and a thread in which `async_to_sync` waits.
    asgiref has no public call for this; no upstream issue was found (November 2026). Not needed where the shortcut
    `request_executor` is on (asgiref 3.13 and later): to be deleted once that is the oldest supported release.
    """
    context = sync.SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) or getattr(sync.AsyncToSync.executors, "current", None):
        return
    if thread := sync.SyncToAsync.context_to_thread_executor.pop(context, None):
        # Without waiting for its end, which would block the event loop.
        thread.shutdown(wait=False)
