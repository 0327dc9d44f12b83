"""What a turn needs of those who keep what it leaves behind: the store, where conversations are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from waldur_chat.events import StoredMessages, Terminal

if TYPE_CHECKING:
    from waldur_chat.engine.turn import Turn


class Recorder(Protocol):
    """Keeps one turn. Its methods are called on the turn's event loop, in this order.

    `turn` is the id that the turn has already, `thread` that of its conversation, empty where it has none.
    `max_output_tokens` is what the turn was promised, None where nothing limits it.
    """

    turn: str
    thread: str
    max_output_tokens: int | None

    def start(self, turn: Turn) -> None:
        """The turn begins to run."""

    def answer(self, turn: Turn) -> None:
        """The provider begins to answer."""

    async def end(self, turn: Turn, terminal: Terminal) -> StoredMessages | None:
        """The turn ends so; its reader is told afterwards. Tells where it is stored, None where that failed."""
