"""When pieces arrive, and when the application learns that nobody reads them."""

from __future__ import annotations

from contextlib import ExitStack

from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.findings import Finding, found
from waldur_chat.doctor.probes import Bench, Facts

PIECES = 3


def buffering(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether each piece arrives before the next is written."""
    with bench.reached() as probe:
        for number in range(PIECES):
            if not probe.passes(f"piece-{number}-{probe.line.nonce}", facts.patience):
                break
        else:
            return []
        came = "it came with the end" if probe.finishes() else "nor did the answer end"
        length = ", with a Content-Length" if "Content-Length" in probe.call.headers else ""
        seen = f"piece {number + 1} had not arrived {facts.patience:g} s after it was written; {came}{length}"
        return [found("middleware_buffering" if length else "proxy_buffering", seen)]


def hangups(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether the connection to the provider is closed soon after a client has gone: by the next heartbeat."""
    limit = facts.heartbeat_seconds + min(1.0, facts.heartbeat_seconds / 2)
    with bench.reached() as probe:
        probe.passes(probe.line.nonce, facts.patience)
        probe.call.leave()
        if probe.line.closed.wait(limit):
            return []
        return [found("proxy_hides_hangups", f"the provider was still connected {limit:g} s after the client had gone")]


def concurrency(bench: Bench, facts: Facts, streams: int) -> list[Finding]:
    """Whether so many streams run at once, as far as the settings let one user have them."""
    with ExitStack() as stack:
        probes = [stack.enter_context(bench.probe()) for _ in range(min(streams, facts.most_streams))]
        begun = sum(probe.connects(facts.patience) for probe in probes)
        answered = [probe for probe in probes if probe.call.done and not probe.line.connected.is_set()]
        if answered:
            return [diagnose(bench, answered[0].call, others_pass=True)]
        if begun == len(probes):
            return []
        return [found("one_stream_per_worker", f"of {len(probes)} streams at once {begun} began")]
