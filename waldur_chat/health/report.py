"""Whether this process is ready: what was looked at, and what it says of itself."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from waldur_chat import conf
from waldur_chat.conf import Settings
from waldur_chat.engine import running_turns
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.engine.provider_pool import refusing_providers
from waldur_chat.health.database import DatabaseLook, DatabaseState
from waldur_chat.health.looks import Failure, SharedLooks
from waldur_chat.runtime import shutdown
from waldur_chat.runtime.forked import PerProcess

ALIVE = {"status": "alive"}
"""The body of health: whoever can send it is alive."""

ESSENTIAL = ("database", "migrations", "server")
"""What makes a process unready. A load balancer takes the whole host away, so it is what no request can do without."""

FINE = ("ok", "unchecked")

database_looks = PerProcess(lambda: SharedLooks("database", DatabaseLook()))
settings_looks = PerProcess(lambda: SharedLooks("settings", conf.load))

last_found: PerProcess[list[Readiness]] = PerProcess(list)

Check = tuple[str, str, Any]
"""A name, a word, and details, which only staff sees."""


ANSWER_SECONDS = 0.1
"""For how long what was found is told without putting it together anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was found, by name: a word for each check, and details for staff."""

    checks: dict[str, str]
    details: dict[str, Any]
    found_at: float = field(default_factory=time.monotonic)
    _encoded: dict[bool, bytes] = field(default_factory=dict)

    def status(self, *, strict: bool) -> int:
        """The status of the response: 200 or 503. `strict` counts what concerns the chat only, too."""
        counted = self.checks if strict else ESSENTIAL
        return 200 if all(self.checks[name] in FINE for name in counted) else 503

    def body(self, *, strict: bool, with_details: bool) -> dict[str, Any]:
        """The body of the response."""
        word = "ready" if self.status(strict=strict) == 200 else "unready"
        body: dict[str, Any] = {"status": word, "checks": self.checks}
        return {**body, "details": self.details} if with_details else body

    def encoded_body(self, *, strict: bool) -> bytes:
        """The body without details, as JSON; encoded once."""
        if strict not in self._encoded:
            body = self.body(strict=strict, with_details=False)
            self._encoded[strict] = json.dumps(body, separators=(",", ":")).encode()
        return self._encoded[strict]


def readiness() -> Readiness:
    """Look, and wait for at most a second."""
    if kept := _kept():
        return kept
    looks = database_looks().current(), settings_looks().current()
    for look in looks:
        look.join()
    return _readiness(looks[0].outcome, looks[1].outcome, None)


async def areadiness() -> Readiness:
    """Do the same on an event loop."""
    if kept := _kept():
        return kept
    looks = database_looks().current(), settings_looks().current()
    for look in looks:
        await look.ajoin()
    return _readiness(looks[0].outcome, looks[1].outcome, asyncio.get_running_loop())


def _readiness(
    database: DatabaseState | Failure, settings: Settings | Failure, loop: asyncio.AbstractEventLoop | None
) -> Readiness:
    checks = [*_database(database), _server(loop), *_chat(settings)]
    found = Readiness(
        checks={name: word for name, word, _ in checks}, details={name: details for name, _, details in checks}
    )
    last_found()[:] = [found]
    return found


def _kept() -> Readiness | None:
    """What was found last, if that is not too old."""
    last = last_found()
    return last[0] if last and time.monotonic() < last[0].found_at + ANSWER_SECONDS else None


def _database(found: DatabaseState | Failure) -> Iterator[Check]:
    if isinstance(found, Failure):
        yield "database", "down", {"error": found.reason}
        yield "migrations", "unknown", {}
        return
    yield "database", "ok", {"seconds": round(found.seconds, 4)}
    word = "unchecked" if found.missing is None else "missing" if found.missing else "ok"
    yield "migrations", word, {"missing": list(found.missing or ())}


def _server(loop: asyncio.AbstractEventLoop | None) -> Check:
    is_stopping = running_turns.registry().stopping_since is not None or shutdown.server_is_stopping(loop)
    return "server", "stopping" if is_stopping else "ok", {"process": os.getpid()}


def _chat(settings: Settings | Failure) -> Iterator[Check]:
    """What concerns the chat only. No provider is asked: its breaker in this process knows how the last turns went."""
    if isinstance(settings, Failure):
        for name in ("providers", "breaker", "room", "queue"):
            yield name, "unknown", {"error": settings.reason}
        return
    names, refusing = [spec.name for spec in settings.chain], refusing_providers()
    yield "providers", "ok" if names else "missing", {"names": names}
    yield "breaker", "open" if names and refusing.issuperset(names) else "ok", {"open": sorted(refusing)}
    running, queued = limiter_of_process().load
    limit, length = settings.turns_per_process, settings.queue_length
    is_full = limit is not None and running >= limit
    yield "room", "full" if is_full else "ok", {"running": running, "limit": limit}
    yield "queue", "full" if is_full and queued >= length else "ok", {"waiting": queued, "limit": length}
