"""Experiments on duration: how long an answer may last, and how long it may be silent."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.doctor.probes import DELIVERY_SECONDS, Probe, ProbeClient, SiteFacts

LIMIT_FRACTION = 0.9
"""The fraction of the site's own limits that is used, so that these limits do not end the answer."""

PIECE_SECONDS = 0.2
"""The pause between the pieces of a steady answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """Something other than the provider ended the answer, `after` seconds after the request."""

    after: float
    seen: str


def check_endurance(client: ProbeClient, facts: SiteFacts, longest: float, at_once: bool) -> list[Finding]:
    """Hold answers open in four ways for up to `longest` seconds; concurrently if the site can do that."""
    with ThreadPoolExecutor(4 if at_once and facts.max_streams >= 4 else 1) as threads:
        steady, *silent = threads.map(lambda hold: hold(client, facts, longest), _HOLDS)
    seconds = int(max(facts.turn_seconds, facts.first_event_seconds, facts.heartbeat_seconds)) + 10
    findings = []
    if steady:
        findings.append(make_finding("response_time_limit", steady.seen, seconds=seconds))
        silent = [one for one in silent if one and one.after < steady.after - max(1.5, steady.after / 10)]
    if interruptions := [one.seen for one in silent if one]:
        findings.append(make_finding("idle_limit", "; ".join(interruptions), seconds=seconds))
    return findings


def _steady(client: ProbeClient, facts: SiteFacts, longest: float) -> Interruption | None:
    """A stream that is never silent."""
    with client.connected_probe() as probe:
        return _hold(probe, min(longest, facts.turn_seconds * LIMIT_FRACTION), "a steady stream", is_steady=True)


def _silent_at_first(client: ProbeClient, facts: SiteFacts, longest: float) -> Interruption | None:
    """A stream before its first event: there are no heartbeats yet."""
    with client.connected_probe() as probe:
        return _hold(probe, min(longest, facts.first_event_seconds * LIMIT_FRACTION), "a stream before its first event")


def _silent_between(client: ProbeClient, facts: SiteFacts, longest: float) -> Interruption | None:
    """A stream between two events: there are heartbeats."""
    with client.connected_probe() as probe:
        probe.channel.say("first")
        seconds = min(longest, facts.heartbeat_seconds * 1.5, facts.silence_seconds * LIMIT_FRACTION)
        return _hold(probe, seconds, "a stream between two events")


def _whole(client: ProbeClient, facts: SiteFacts, longest: float) -> Interruption | None:
    """An invoke: the provider sends pieces, but the client receives nothing until the end."""
    with client.connected_probe("invoke", accept="application/json") as probe:
        return _hold(probe, min(longest, facts.turn_seconds * LIMIT_FRACTION), "an invoke", is_steady=True)


Hold = Callable[[ProbeClient, SiteFacts, float], "Interruption | None"]
_HOLDS: tuple[Hold, ...] = (_steady, _silent_at_first, _silent_between, _whole)


def _hold(probe: Probe, seconds: float, what: str, *, is_steady: bool = False) -> Interruption | None:
    """Hold the answer open, then complete it. None if it completes, or if the application itself ended it."""
    began = time.monotonic()
    pause = PIECE_SECONDS if is_steady else seconds
    while (left := began + seconds - time.monotonic()) > 0 and not probe.call.wait(min(pause, left)):
        if is_steady:
            probe.channel.say("more")
    after = time.monotonic() - began
    probe.channel.say("last")
    is_whole = probe.completes(DELIVERY_SECONDS) or (probe.call.status == 200 and isinstance(probe.call.json, str))
    if is_whole or probe.call.code or b"event: error" in probe.call.received:
        return None
    return Interruption(
        after=after, seen=f"{what} was ended after {after:.1f} s with {probe.call.status or 'no answer'}"
    )
