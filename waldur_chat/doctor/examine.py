"""The examination: runs every experiment in order, and attributes findings to the proxy or to the application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from waldur_chat.doctor import connectivity, timing
from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.endurance import check_endurance
from waldur_chat.doctor.findings import IN_APPLICATION, Finding, make_finding
from waldur_chat.doctor.probes import ProbeClient, ProbeNotConnected, SiteFacts

Experiment = Callable[[ProbeClient, SiteFacts], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to examine: maximum seconds of silence (0: skip), concurrent streams, and a client past the proxy."""

    longest: float = 65.0
    streams: int = 2
    direct: ProbeClient | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """What one experiment tried, and what it found."""

    tried: str
    findings: list[Finding]


def examine(client: ProbeClient, plan: Plan) -> Iterator[ExperimentResult]:
    """Run the experiments, until a finding makes the rest impossible."""
    facts, findings = connectivity.check_connection(client)
    if facts is None:
        yield ExperimentResult(tried="a stream through the public URL", findings=findings)
        if plan.direct:
            yield _check_directly(plan.direct)
        return
    yield ExperimentResult(tried=f"a stream through the public URL ({_summary(facts)})", findings=[])
    ids: set[str] = set()
    for tried, experiment in _experiments(plan, ids):
        try:
            findings = _run_attributed(experiment, client, facts, plan)
        except ProbeNotConnected as refused:
            yield ExperimentResult(tried=tried, findings=[diagnose(client, refused.call, others_pass=True)])
            return
        ids |= {finding.id for finding in findings}
        yield ExperimentResult(tried=tried, findings=findings)
        if "cached" in ids:
            return


def _experiments(plan: Plan, ids: set[str]) -> Iterator[tuple[str, Experiment]]:
    """The experiments in order; `ids` of earlier findings make some of them pointless."""
    yield "two equal questions get two answers", connectivity.check_caching
    yield "streams are not compressed", connectivity.check_compression
    yield "the format is the one that was asked for", connectivity.check_negotiation
    yield "the end of a stream can be told from a cut", connectivity.check_framing
    yield "each piece arrives before the next is written", timing.check_buffering
    is_whole = "middleware_buffering" in ids
    if not is_whole:
        yield "a client that leaves is noticed within a heartbeat", timing.check_hangups
    yield f"{plan.streams} streams at once", partial(timing.check_concurrency, streams=plan.streams)
    yield "an input of the greatest length", connectivity.check_body
    yield "errors arrive as they were sent", connectivity.check_errors
    if plan.longest and not is_whole:
        at_once = "one_stream_per_worker" not in ids
        tried = f"long answers and silence, up to {plan.longest:g} s"
        yield tried, partial(check_endurance, longest=plan.longest, at_once=at_once)


def _run_attributed(experiment: Experiment, client: ProbeClient, facts: SiteFacts, plan: Plan) -> list[Finding]:
    """Run an experiment, and attribute its findings to the proxy or to the application."""
    findings = experiment(client, facts)
    if not facts.hears_hangups:
        findings = [_in_django_4(finding) for finding in findings]
    if plan.direct is None or not any(finding.id in IN_APPLICATION for finding in findings):
        return [_in_application(finding) if facts.is_direct else finding for finding in findings]
    directly = {finding.id for finding in experiment(plan.direct, facts)}
    return [_in_application(finding) if finding.id in directly else finding for finding in findings]


def _in_application(finding: Finding) -> Finding:
    """The same finding, with the application as its cause."""
    return make_finding(IN_APPLICATION[finding.id], finding.seen) if finding.id in IN_APPLICATION else finding


def _in_django_4(finding: Finding) -> Finding:
    """The same finding, with Django 4.2 under ASGI as its cause."""
    return make_finding("django_hides_hangups", finding.seen) if finding.id == "proxy_hides_hangups" else finding


def _check_directly(direct: ProbeClient) -> ExperimentResult:
    facts, findings = connectivity.check_connection(direct)
    if facts is None:
        return ExperimentResult(tried=f"the same without the proxy: {findings[0].id}, {findings[0].seen}", findings=[])
    return ExperimentResult(tried="the same without the proxy: it works, so look before the application", findings=[])


def _summary(facts: SiteFacts) -> str:
    return f"{facts.server or 'unnamed server'}, {facts.protocol} to the application, {facts.interface}"
