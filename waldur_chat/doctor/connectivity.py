"""Whether a request gets through at all, and whether its answer is left as it was."""

from __future__ import annotations

from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.findings import Finding, found
from waldur_chat.doctor.probes import CONNECT_PATIENCE_SECONDS, PATIENCE_SECONDS, Bench, Facts, NotReached, Probe


def reach(bench: Bench) -> tuple[Facts | None, list[Finding]]:
    """Ask for the first time. The facts are None where nothing more can be examined."""
    with bench.probe() as probe:
        if not probe.connects():
            return None, [_not_reached(bench, probe)]
        probe.line.say(probe.line.nonce)
        probe.finishes(CONNECT_PATIENCE_SECONDS)
        if probe.call.status != 200:
            return None, [diagnose(bench, probe.call)]
        return probe.facts(), []


def _not_reached(bench: Bench, probe: Probe) -> Finding:
    finding = diagnose(bench, probe.call)
    if finding.id != "probe_lost":
        return finding
    with bench.probe(query=f"?doctor={probe.line.nonce}") as fresh:
        return found("cached", "an answer came that no provider gave") if fresh.connects() else finding


def caching(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether the same question is answered from a store."""
    for _ in range(2):
        with bench.probe() as probe:
            if not probe.connects() and probe.call.status == 200:
                return [found("cached", "an answer came that no provider gave")]
            probe.line.say("once")
            probe.finishes()
    return []


def compression(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether a stream is compressed for a client who would take that."""
    with bench.reached(encodings="gzip, deflate, br") as probe:
        for _ in range(100):  # Some compress only what is long.
            probe.line.say("compressible " * 10)
        probe.line.end()
        probe.call.wait(PATIENCE_SECONDS)
        encoding = str(probe.call.headers.get("Content-Encoding", "identity"))
    return [found("proxy_compression", f"Content-Encoding: {encoding}")] if encoding.lower() != "identity" else []


def negotiation(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether the format is the one that was asked for; it is not the one that clients get who ask for none."""
    wanted = "application/x-ndjson" if facts.stream_format == "sse" else "text/event-stream"
    with bench.probe(accept=wanted) as probe:
        probe.connects()
        probe.line.say("x")
        probe.finishes()
        got = probe.call.headers.get_content_type()
        if probe.call.status == 406 or (probe.call.status == 200 and got != wanted):
            return [found("accept_rewritten", f"asked for {wanted}, and got {probe.call.status} {got}")]
    return []


def framing(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether the end of a stream can be told from a cut, on both sides of the proxy."""
    if facts.is_direct:
        return []
    findings = []
    if facts.protocol == "HTTP/1.0":
        findings.append(found("http_1_0", "the application was asked with HTTP/1.0"))
    with bench.reached() as probe:
        probe.line.say("x")
        probe.finishes()
        headers = probe.call.headers
        if probe.call.version == 11 and "Transfer-Encoding" not in headers and "Content-Length" not in headers:
            findings.append(found("unframed", "HTTP/1.1 with neither Transfer-Encoding nor Content-Length"))
    return findings


def errors(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether clients see our errors: one of theirs and one of the provider's."""
    findings = []
    with bench.probe(body={"input": 1}) as wrong:
        wrong.call.wait(PATIENCE_SECONDS)
        if wrong.call.status in (429, 503):
            raise NotReached(wrong.call)
        if (wrong.call.status, wrong.call.code) != (400, "invalid"):
            findings.append(_rewritten("400 with the code invalid", wrong))
    with bench.reached() as failing:
        failing.line.hang_up()
        failing.call.wait(PATIENCE_SECONDS)
        if (failing.call.status, failing.call.code) != (502, "provider_unreachable"):
            findings.append(_rewritten("502 with the code provider_unreachable", failing))
    return findings[:1]


def _rewritten(wanted: str, probe: Probe) -> Finding:
    got = f"{probe.call.status} {probe.call.headers.get_content_type()}"
    return found("errors_rewritten", f"a {wanted} came as {got} with the code {probe.call.code or '(none)'}")


def body(bench: Bench, facts: Facts) -> list[Finding]:
    """Whether the longest input gets through, written as JSON writes it at worst: twelve bytes a character."""
    with bench.probe(body={"input": "\U0001f600" * facts.input_max_length}) as probe:
        if probe.connects() or not probe.call.done:
            return []
        size = 12 * facts.input_max_length + 1024
        seen = f"{size} bytes of input: {probe.call.status or type(probe.call.failure).__name__}"
        if probe.call.code == "body_too_large":
            return [found("django_body_limit", seen, bytes=size)]
        if probe.call.status == 413 or not probe.call.status:
            return [found("proxy_body_limit", seen, kilobytes=size // 1024 + 1)]
    return []
