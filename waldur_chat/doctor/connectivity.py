"""Experiments on connectivity: a request reaches the provider, and its answer arrives unchanged."""

from __future__ import annotations

from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.doctor.probes import (
    DELIVERY_SECONDS,
    PROVIDER_CONNECT_SECONDS,
    Probe,
    ProbeClient,
    ProbeNotConnected,
    SiteFacts,
)


def check_connection(client: ProbeClient) -> tuple[SiteFacts | None, list[Finding]]:
    """Send the first probe. The facts are None if nothing else can be examined."""
    with client.probe() as probe:
        if not probe.wait_connected():
            return None, [_not_reached(client, probe)]
        probe.channel.say(probe.channel.nonce)
        probe.completes(PROVIDER_CONNECT_SECONDS)
        if probe.call.status != 200:
            return None, [diagnose(client, probe.call)]
        return probe.site_facts(), []


def _not_reached(client: ProbeClient, probe: Probe) -> Finding:
    finding = diagnose(client, probe.call)
    if finding.id != "probe_lost":
        return finding
    with client.probe(query=f"?doctor={probe.channel.nonce}") as fresh:
        return make_finding("cached", "an answer came that no provider gave") if fresh.wait_connected() else finding


def check_caching(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that equal questions are not answered from a cache."""
    for _ in range(2):
        with client.probe() as probe:
            if not probe.wait_connected() and probe.call.status == 200:
                return [make_finding("cached", "an answer came that no provider gave")]
            probe.channel.say("once")
            probe.completes()
    return []


def check_compression(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that a stream is not compressed for a client that accepts compression."""
    with client.connected_probe(encodings="gzip, deflate, br") as probe:
        for _ in range(100):  # Some proxies compress long answers only.
            probe.channel.say("compressible " * 10)
        probe.channel.end()
        probe.call.wait(DELIVERY_SECONDS)
        encoding = str(probe.call.headers.get("Content-Encoding", "identity"))
    return (
        [make_finding("proxy_compression", f"Content-Encoding: {encoding}")] if encoding.lower() != "identity" else []
    )


def check_negotiation(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that the answer has the requested format, which is not the site's default one."""
    wanted = "application/x-ndjson" if facts.stream_format == "sse" else "text/event-stream"
    with client.probe(accept=wanted) as probe:
        probe.wait_connected()
        probe.channel.say("x")
        probe.completes()
        got = probe.call.headers.get_content_type()
        if probe.call.status == 406 or (probe.call.status == 200 and got != wanted):
            return [make_finding("accept_rewritten", f"asked for {wanted}, and got {probe.call.status} {got}")]
    return []


def check_framing(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that a complete stream differs from a broken one, on both sides of the proxy."""
    if facts.is_direct:
        return []
    findings = []
    if facts.protocol == "HTTP/1.0":
        findings.append(make_finding("http_1_0", "the application was asked with HTTP/1.0"))
    with client.connected_probe() as probe:
        probe.channel.say("x")
        probe.completes()
        headers = probe.call.headers
        if probe.call.version == 11 and "Transfer-Encoding" not in headers and "Content-Length" not in headers:
            findings.append(make_finding("unframed", "HTTP/1.1 with neither Transfer-Encoding nor Content-Length"))
    return findings


def check_errors(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that clients receive our errors: one of their own and one of the provider."""
    findings = []
    with client.probe(body={"input": 1}) as wrong:
        wrong.call.wait(DELIVERY_SECONDS)
        if wrong.call.status in (429, 503):
            raise ProbeNotConnected(wrong.call)
        if (wrong.call.status, wrong.call.code) != (400, "invalid"):
            findings.append(_rewritten("400 with the code invalid", wrong))
    with client.connected_probe() as failing:
        failing.channel.hang_up()
        failing.call.wait(DELIVERY_SECONDS)
        if (failing.call.status, failing.call.code) != (502, "provider_unreachable"):
            findings.append(_rewritten("502 with the code provider_unreachable", failing))
    return findings[:1]


def _rewritten(wanted: str, probe: Probe) -> Finding:
    got = f"{probe.call.status} {probe.call.headers.get_content_type()}"
    return make_finding("errors_rewritten", f"a {wanted} came as {got} with the code {probe.call.code or '(none)'}")


def check_body(client: ProbeClient, facts: SiteFacts) -> list[Finding]:
    """Check that the longest input is accepted, at the worst case of JSON: twelve bytes for a character."""
    with client.probe(body={"input": "\U0001f600" * facts.input_max_length}) as probe:
        if probe.wait_connected() or not probe.call.done:
            return []
        size = 12 * facts.input_max_length + 1024
        seen = f"{size} bytes of input: {probe.call.status or type(probe.call.failure).__name__}"
        if probe.call.code == "body_too_large":
            return [make_finding("django_body_limit", seen, bytes=size)]
        if probe.call.status == 413 or not probe.call.status:
            return [make_finding("proxy_body_limit", seen, kilobytes=size // 1024 + 1)]
    return []
