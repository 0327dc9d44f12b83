"""Experiments on timing: pieces arrive at once, hang-ups are noticed, and streams run concurrently."""

from __future__ import annotations

from contextlib import ExitStack

from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.doctor.probes import ProbeClient, SiteFacts

PIECES = 3


def check_buffering(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that each piece arrives before the next one is written."""
    with client.connected_probe() as probe:
        for number in range(PIECES):
            if not probe.delivers(f"piece-{number}-{probe.channel.nonce}", facts.delivery_seconds):
                break
        else:
            return []
        came = "it came with the end" if probe.completes() else "nor did the answer end"
        length = ", with a Content-Length" if "Content-Length" in probe.call.headers else ""
        seen = f"piece {number + 1} had not arrived {facts.delivery_seconds:g} s after it was written; {came}{length}"
        return [make_finding("middleware_buffering" if length else "proxy_buffering", seen)]


def check_hangups(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that the provider's connection is closed by the next heartbeat after the client has disconnected."""
    limit = facts.heartbeat_seconds + min(1.0, facts.heartbeat_seconds / 2)
    with client.connected_probe() as probe:
        probe.delivers(probe.channel.nonce, facts.delivery_seconds)
        probe.call.leave()
        if probe.channel.closed.wait(limit):
            return []
        return [
            make_finding(
                "proxy_hides_hangups", f"the provider was still connected {limit:g} s after the client had gone"
            )
        ]


def check_concurrency(client: ProbeClient, facts: SiteFacts, streams: int) -> list[Finding]:
    """Check that this many streams run at once, as far as the settings allow that to one user."""
    with ExitStack() as stack:
        probes = [stack.enter_context(client.probe()) for _ in range(min(streams, facts.max_streams))]
        begun = sum(probe.wait_connected(facts.delivery_seconds) for probe in probes)
        answered = [probe for probe in probes if probe.call.done and not probe.channel.connected.is_set()]
        if answered:
            return [diagnose(client, answered[0].call, others_pass=True)]
        if begun == len(probes):
            return []
        return [make_finding("one_stream_per_worker", f"of {len(probes)} streams at once {begun} began")]
