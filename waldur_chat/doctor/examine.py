"""The examination: every experiment in its order, and whom a finding is to be laid to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from waldur_chat.doctor import connectivity, timing
from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.endurance import endurance
from waldur_chat.doctor.findings import IN_APPLICATION, Finding, found
from waldur_chat.doctor.probes import Bench, Facts, NotReached

Experiment = Callable[[Bench, Facts], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to examine: seconds of silence at most (0: none), streams at once, and the application's own server."""

    longest: float = 65.0
    streams: int = 2
    direct: Bench | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one experiment tried, and what it found."""

    tried: str
    findings: list[Finding]


def examine(bench: Bench, plan: Plan) -> Iterator[Result]:
    """Experiment after experiment, until one finds what makes the rest impossible."""
    facts, findings = connectivity.reach(bench)
    if facts is None:
        yield Result(tried="a stream through the public URL", findings=findings)
        if plan.direct:
            yield _asked_directly(plan.direct)
        return
    yield Result(tried=f"a stream through the public URL ({_told(facts)})", findings=[])
    ids: set[str] = set()
    for tried, experiment in _experiments(plan, ids):
        try:
            findings = _attributed(experiment, bench, facts, plan)
        except NotReached as refused:
            yield Result(tried=tried, findings=[diagnose(bench, refused.call, others_pass=True)])
            return
        ids |= {finding.id for finding in findings}
        yield Result(tried=tried, findings=findings)
        if "cached" in ids:
            return


def _experiments(plan: Plan, ids: set[str]) -> Iterator[tuple[str, Experiment]]:
    """What to try; what was found so far makes some of it pointless."""
    yield "two equal questions get two answers", connectivity.caching
    yield "streams are not compressed", connectivity.compression
    yield "the format is the one that was asked for", connectivity.negotiation
    yield "the end of a stream can be told from a cut", connectivity.framing
    yield "each piece arrives before the next is written", timing.buffering
    is_whole = "middleware_buffering" in ids
    if not is_whole:
        yield "a client that leaves is noticed within a heartbeat", timing.hangups
    yield f"{plan.streams} streams at once", partial(timing.concurrency, streams=plan.streams)
    yield "an input of the greatest length", connectivity.body
    yield "errors arrive as they were sent", connectivity.errors
    if plan.longest and not is_whole:
        at_once = "one_stream_per_worker" not in ids
        tried = f"long answers and silence, up to {plan.longest:g} s"
        yield tried, partial(endurance, longest=plan.longest, at_once=at_once)


def _attributed(experiment: Experiment, bench: Bench, facts: Facts, plan: Plan) -> list[Finding]:
    """What an experiment finds, laid to the proxy or to the application."""
    findings = experiment(bench, facts)
    if not facts.hears_hangups:
        findings = [_of_django_4(finding) for finding in findings]
    if plan.direct is None or not any(finding.id in IN_APPLICATION for finding in findings):
        return [_in_application(finding) if facts.is_direct else finding for finding in findings]
    directly = {finding.id for finding in experiment(plan.direct, facts)}
    return [_in_application(finding) if finding.id in directly else finding for finding in findings]


def _in_application(finding: Finding) -> Finding:
    """The same finding, where no proxy is to blame."""
    return found(IN_APPLICATION[finding.id], finding.seen) if finding.id in IN_APPLICATION else finding


def _of_django_4(finding: Finding) -> Finding:
    """The same finding, where Django itself is enough to explain it."""
    return found("django_hides_hangups", finding.seen) if finding.id == "proxy_hides_hangups" else finding


def _asked_directly(direct: Bench) -> Result:
    facts, findings = connectivity.reach(direct)
    if facts is None:
        return Result(tried=f"the same without the proxy: {findings[0].id}, {findings[0].seen}", findings=[])
    return Result(tried="the same without the proxy: it works, so look before the application", findings=[])


def _told(facts: Facts) -> str:
    return f"{facts.server or 'unnamed server'}, {facts.protocol} to the application, {facts.interface}"
