"""How long an answer may last, and how long it may be silent, before something on its way ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from waldur_chat.doctor.findings import Finding, found
from waldur_chat.doctor.probes import PATIENCE_SECONDS, Bench, Facts, Probe

PART = 0.9
"""How much of the site's own limits is used, so that these are not met."""

SPEAKING_SECONDS = 0.2
"""The pause between the pieces of an answer that is not silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """An answer that was ended by something else than its provider, so many seconds after it was asked for."""

    after: float
    seen: str


def endurance(bench: Bench, facts: Facts, longest: float, at_once: bool) -> list[Finding]:
    """Hold answers in four ways for up to `longest` seconds, all at once where the site can carry that."""
    with ThreadPoolExecutor(4 if at_once and facts.most_streams >= 4 else 1) as threads:
        steady, *silent = threads.map(lambda hold: hold(bench, facts, longest), _HOLDS)
    seconds = int(max(facts.turn_seconds, facts.first_event_seconds, facts.heartbeat_seconds)) + 10
    findings = []
    if steady:
        findings.append(found("response_time_limit", steady.seen, seconds=seconds))
        silent = [cut for cut in silent if cut and cut.after < steady.after - max(1.5, steady.after / 10)]
    if cuts := [cut.seen for cut in silent if cut]:
        findings.append(found("idle_limit", "; ".join(cuts), seconds=seconds))
    return findings


def _steady(bench: Bench, facts: Facts, longest: float) -> Cut | None:
    """A stream that is never silent."""
    with bench.reached() as probe:
        return _cut(probe, min(longest, facts.turn_seconds * PART), "a steady stream", speaks=True)


def _silent_at_first(bench: Bench, facts: Facts, longest: float) -> Cut | None:
    """A stream before its first event: there are no heartbeats yet."""
    with bench.reached() as probe:
        return _cut(probe, min(longest, facts.first_event_seconds * PART), "a stream before its first event")


def _silent_between(bench: Bench, facts: Facts, longest: float) -> Cut | None:
    """A stream between two events: there are heartbeats."""
    with bench.reached() as probe:
        probe.line.say("first")
        seconds = min(longest, facts.heartbeat_seconds * 1.5, facts.silence_seconds * PART)
        return _cut(probe, seconds, "a stream between two events")


def _whole(bench: Bench, facts: Facts, longest: float) -> Cut | None:
    """An invoke: the provider speaks, but the client hears nothing until the end."""
    with bench.reached("invoke", accept="application/json") as probe:
        return _cut(probe, min(longest, facts.turn_seconds * PART), "an invoke", speaks=True)


_HOLDS: tuple[Callable[[Bench, Facts, float], Cut | None], ...] = (_steady, _silent_at_first, _silent_between, _whole)


def _cut(probe: Probe, seconds: float, what: str, *, speaks: bool = False) -> Cut | None:
    """Hold the answer, and then let it finish; None where it does, or where the application itself ended it."""
    began = time.monotonic()
    pause = SPEAKING_SECONDS if speaks else seconds
    while (left := began + seconds - time.monotonic()) > 0 and not probe.call.wait(min(pause, left)):
        if speaks:
            probe.line.say("more")
    after = time.monotonic() - began
    probe.line.say("last")
    is_whole = probe.finishes(PATIENCE_SECONDS) or (probe.call.status == 200 and isinstance(probe.call.json, str))
    if is_whole or probe.call.code or b"event: error" in probe.call.received:
        return None
    return Cut(after=after, seen=f"{what} was ended after {after:.1f} s with {probe.call.status or 'no answer'}")
