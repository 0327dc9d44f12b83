"""What a response is made of: a turn, or somebody's view of one that has begun before."""

from __future__ import annotations

import asyncio
from typing import Protocol

from waldur_chat.events import Event


class Source(Protocol):
    """Gives the events of one turn to one reader.

    `start()`, `close()` and `take_blocking()` are for any thread, the rest is for the event loop it was started on.
    """

    id: str
    position: int
    """How many characters of the answer the reader has already."""

    @property
    def thread(self) -> str:
        """The conversation; empty where there is none."""

    @property
    def ends_with_reader(self) -> bool:
        """Whether the turn is stopped when this reader leaves, so that its end can still be read."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, on this loop."""

    def drop(self) -> None:
        """Nobody will start it, since the reader has gone already."""

    async def first(self) -> Event:
        """Wait for the first event and leave it there. Raises the turn's error where it ended before it began."""

    def want_whole(self) -> None:
        """The reader, who has started it, wants the whole: let him wait for its end rather than for each event."""

    async def take(self, timeout: float | None = None) -> list[Event]:
        """Wait, at most `timeout` seconds, for the next events; empty when none came. A terminal event is the last.

        Raises `ServerStopping` where the turn goes on elsewhere, and so should its reader.
        """

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """See take(); for threads other than that of the event loop."""

    def text_before_position(self) -> str:
        """The text that the reader has already."""

    def close(self) -> None:
        """The reader has gone."""
