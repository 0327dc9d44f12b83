"""Runs a fake service on a thread of its own, for tests whose code under test has a loop elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fake.service import Service


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """The address of the service."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(service.listen("127.0.0.1"))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
