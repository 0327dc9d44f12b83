"""Follows turns of other processes for readers in this one: one thread polls the database for all of them.

On hosts with tenants each tenant has a follower of its own.

On PostgreSQL a notification wakes the thread; with other databases it polls, less often while nothing changes. Each
followed turn has one log per event loop, shared by its readers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from django.db import connections

from waldur_chat.engine.event_log import EventLog
from waldur_chat.errors import TurnInterrupted
from waldur_chat.events import Event, Failed, Finished, Terminal, ToolEvent, Warned, with_tool_events
from waldur_chat.runtime import tenants
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.runtime.tenants import PerTenant, Tenant
from waldur_chat.store.turns import partials, replays
from waldur_chat.store.turns.replays import Replay, RunningRow
from waldur_chat.turns.notifier import ChangeNotifier
from waldur_chat.turns.reaper import reaper_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 0.25
"""Bounds of the pause between two polls without notifications: it grows while nothing changes."""

PAUSE_SECONDS = 0.02
"""Shortest pause in any case, so that frequent notifications cannot keep the thread busy."""

TIMEOUT_SECONDS = 6.0
"""How long the database may block the thread, before another one replaces it."""

LINGER_SECONDS = 2.0
"""How long a turn without a reader is followed."""


@dataclass(slots=True, kw_only=True, eq=False)
class RemoteTurn:
    """A turn of another process, and its log on one event loop."""

    replay: Replay
    loop: asyncio.AbstractEventLoop
    log: EventLog = field(default_factory=EventLog)
    requested_at: float = 0.0
    """When a reader last requested it."""
    position: int = 0
    has_ended: bool = False
    tool_events_seen: int = 0
    """`Turn.tool_events` when its calls of tools were last read."""
    _tool_events: list[tuple[int, ToolEvent]] = field(default_factory=list)
    """Those that its calls had then."""
    _told: set[tuple[type, str]] = field(default_factory=set)

    def is_over(self) -> bool:
        """Whether the turn need not be followed any more."""
        has_no_reader = self.log.readers == 0 and time.monotonic() > self.requested_at + LINGER_SECONDS
        return self.has_ended or has_no_reader or self.loop.is_closed()

    def note_tools(self, row: RunningRow, events: list[tuple[int, ToolEvent]]) -> None:
        """Take the events of its tools, which are told when the text has come to their positions."""
        self.tool_events_seen, self._tool_events = row.tool_events, events

    def append(self, text: str, terminal: Terminal | None = None, warned: Warned | None = None) -> None:
        """Add to the log on its event loop. A closed loop has no readers."""
        start, self.position = self.position, self.position + len(text)
        self.has_ended = terminal is not None
        due = self._take_due()
        if text or due or terminal:
            with suppress(RuntimeError):
                events = with_tool_events(text, start, due)
                self.loop.call_soon_threadsafe(self._add, events, terminal, warned)

    def end(self, ended: Replay) -> None:
        """Add the rest of the stored answer and the end; thoughts that are not part of the answer are skipped."""
        position = max(self.position, ended.text_start)
        if position > self.position:
            self.position = position
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.log.skip_to, position)
        self._tool_events = [*ended.tool_events]
        self.append(ended.text[position - ended.text_start :], ended.terminal, ended.warned)

    def _take_due(self) -> list[tuple[int, ToolEvent]]:
        """The events of tools that are not told yet, and for which the text has come far enough."""
        due = [one for one in self._tool_events if one[0] <= self.position and _key(one[1]) not in self._told]
        self._told |= {_key(event) for _, event in due}
        return due

    def _add(self, events: list[Event], terminal: Terminal | None, warned: Warned | None) -> None:
        if events or isinstance(terminal, Finished):
            self.log.add(self.replay.started)
        # Known from the stored answer only. A reader that has text already finds it with the stored message.
        if warned and not self.log.text.length:
            self.log.add(warned)
        for event in events:
            self.log.add(event)
        if terminal:
            self.log.end(terminal)


def _key(event: ToolEvent) -> tuple[type, str]:
    return type(event), event.call_uuid


class RemoteTurnFollower:
    """The followed turns of one process and tenant. Used from any thread."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self._tenant = tenant
        self._lock = threading.Lock()
        self._followed: dict[tuple[str, int], RemoteTurn] = {}
        self._thread = SupervisedThread(
            "waldur-chat-follower", partial(tenants.run_within, tenant, self._run), TIMEOUT_SECONDS
        )

    def follow(self, replay: Replay, loop: asyncio.AbstractEventLoop) -> EventLog:
        """Return the log of a running turn, which the thread continues to fill as long as it has a reader."""
        with self._lock:
            remote = self._followed.get((replay.turn, id(loop)))
            if remote is None:
                remote = self._followed[replay.turn, id(loop)] = RemoteTurn(replay=replay, loop=loop)
            remote.requested_at = time.monotonic()
            self._thread.start()
        return remote.log

    def _run(self, run: Run) -> None:
        pause = SHORTEST_SECONDS
        notifier = ChangeNotifier()
        while followed := self._active_turns(run):
            try:
                with run.operation():
                    has_news = self._poll(followed, run)
                    pause = SHORTEST_SECONDS if has_news else min(2 * pause, LONGEST_SECONDS)
                    time.sleep(PAUSE_SECONDS)
                    notifier.wait(pause)
            except Exception as error:  # Any error: the readers wait for the rest.
                logger.error("Turns of other processes could not be followed: %s", type(error).__name__)
                connections.close_all()
                time.sleep(LONGEST_SECONDS)
        notifier.close()

    def _active_turns(self, run: Run) -> list[RemoteTurn]:
        """Return the turns to follow. Without any the run ends; a replaced thread gets none."""
        with self._lock:
            for key, turn in list(self._followed.items()):
                if turn.is_over():
                    del self._followed[key]
            if not self._followed:
                run.finish()
            return [] if run.is_over else list(self._followed.values())

    def _poll(self, followed: list[RemoteTurn], run: Run) -> bool:
        """Append new output. Ended turns are queried first: their stored answer contains all their output."""
        rows = replays.find_running({turn.replay.turn for turn in followed})
        gone = {turn.replay.turn for turn in followed} - set(rows)
        ended = replays.find_ended(gone) if gone else {}
        positions: dict[str, int] = {}
        for turn in followed:
            if (turn_id := turn.replay.turn) in rows:
                positions[turn_id] = min(turn.position, positions.get(turn_id, turn.position))
        outputs = partials.read_after({turn: row.key for turn, row in rows.items()}, positions)
        tools = self._new_tool_events(followed, rows)
        # A replaced thread must not append: its replacement may have appended the same text already.
        with run.if_current() as is_current:
            if not is_current:
                return False
            for turn in followed:
                if replay := ended.get(turn.replay.turn):
                    turn.end(replay)
                elif row := rows.get(turn.replay.turn):
                    output = outputs.get(turn.replay.turn)
                    if row.key in tools:
                        turn.note_tools(row, tools[row.key])
                    turn.append(output.text[turn.position - output.position :] if output else "")
                else:  # Its conversation was deleted.
                    turn.append("", Failed(error=TurnInterrupted(), usage=None))
        reaper_of_process(self._tenant).look()
        return bool(ended or outputs or tools)

    @staticmethod
    def _new_tool_events(
        followed: list[RemoteTurn], rows: dict[str, RunningRow]
    ) -> dict[int, list[tuple[int, ToolEvent]]]:
        """The events of tools of the turns, by primary key, that have new ones."""
        seen = [(turn.tool_events_seen, rows[turn.replay.turn]) for turn in followed if turn.replay.turn in rows]
        return replays.find_tool_events({row for known, row in seen if row.tool_events != known})


follower_of_process = PerTenant(RemoteTurnFollower)
