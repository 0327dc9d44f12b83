"""Metrics, log, ledger and the model service's own count say the same of a thousand mixed turns."""

from __future__ import annotations

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle

import pytest
from django.db.models import Count, Sum

from tests.acceptance.databases import HOST
from tests.acceptance.metrics.asking import CALLS, FAULTS, LONG, WHOLE, ask, samples, scrape, summed
from tests.acceptance.metrics.conftest import Cluster
from tests.acceptance.streams import eventually
from tests.processes import stats
from waldur_chat.models import ToolCall, Turn

pytestmark = pytest.mark.slow

TURNS, SHARE, WITH_TOOLS = 1000, 50, 100
AT_ONCE = 16


@dataclass(kw_only=True)
class Book:
    """What one side has counted: turns by how they ended, and tokens, apart where they are estimated."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """By `input` and `output`, and whether they are estimated."""


def mixture() -> list[tuple[str, str]]:
    """Questions and how they are stopped, in an order that is always the same."""
    faults = [(question, "") for question, _ in zip(cycle(FAULTS), range(SHARE), strict=False)]
    stops = [(LONG, stop) for stop, _ in zip(cycle(["cancel", "leave"]), range(SHARE), strict=False)]
    tools = [(CALLS, "")] * WITH_TOOLS
    questions = [*faults, *stops, *tools, *[(WHOLE, "")] * (TURNS - 2 * SHARE - WITH_TOOLS)]
    random.Random(27).shuffle(questions)
    return questions


@pytest.fixture(scope="module")
def asked(cluster: Cluster) -> Cluster:
    """The cluster, after the thousand turns have ended."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for (question, stop), server in zip(mixture(), cycle(cluster.servers), strict=False):
            threads.submit(ask, server, question, stop)
    running = Turn.objects.using(HOST).filter(status=Turn.Status.RUNNING)
    assert eventually(lambda: not running.exists(), 30)
    assert eventually(lambda: sum(by_log(cluster).outcomes.values()) >= TURNS, 30)
    return cluster


def by_metrics(cluster: Cluster) -> Book:
    found = samples(scrape(cluster.uvicorn))
    tokens = summed(found, "waldur_chat_tokens_total", "kind", "estimated")
    codes = summed(found, "waldur_chat_turns_total", "code")
    outcomes = summed(found, "waldur_chat_turns_total", "outcome")
    return Book(
        outcomes=Counter({outcome: number for (outcome,), number in outcomes.items()}),
        codes=Counter({code: number for (code,), number in codes.items()}),
        tokens=Counter({(kind, estimated == "true"): number for (kind, estimated), number in tokens.items()}),
    )


def by_log(cluster: Cluster) -> Book:
    book = Book()
    for server in cluster.servers:
        for line in re.findall(r"waldur_chat\.turns (.*)", server.log.read_text()):
            said = dict(re.findall(r"(\w+)=(\S+)", line))
            book.outcomes[said["status"]] += 1
            book.codes[said.get("code", "")] += 1
            for kind in ("input", "output"):
                book.tokens[kind, said.get("usage_estimated") == "True"] += int(said.get(f"{kind}_tokens", 0))
    book.tokens = +book.tokens
    return book


def by_ledger() -> Book:
    turns, book = Turn.objects.using(HOST), Book()
    for status, code, number in turns.values_list("status", "code").annotate(Count("id")):
        book.outcomes[status] += number
        book.codes[code] += number
    sums = turns.values_list("is_estimated").annotate(Sum("input_tokens"), Sum("output_tokens"))
    for is_estimated, of_input, of_output in sums:
        book.tokens["input", is_estimated] += of_input
        book.tokens["output", is_estimated] += of_output
    book.tokens = +book.tokens
    return book


def test_all_count_the_same_turns_and_outcomes(asked: Cluster) -> None:
    expected = {"finished": TURNS - 2 * SHARE, "failed": SHARE, "cancelled": SHARE}
    found = {"metrics": by_metrics(asked).outcomes, "log": by_log(asked).outcomes, "ledger": by_ledger().outcomes}
    endings = stats(asked.fake)["endings"]
    found["service"] = Counter(finished=endings["answered"], failed=endings["failed"], cancelled=endings["left"])
    assert found == dict.fromkeys(found, expected)


def test_all_count_the_same_codes(asked: Cluster) -> None:
    assert by_metrics(asked).codes == by_log(asked).codes == by_ledger().codes


def test_tokens_that_were_reported_are_those_that_the_service_has_reported(asked: Cluster) -> None:
    reported = stats(asked.fake)["reported"]
    books = {"metrics": by_metrics(asked), "log": by_log(asked), "ledger": by_ledger()}
    found = {name: {kind: book.tokens[kind, False] for kind in reported} for name, book in books.items()}
    assert found == dict.fromkeys(found, reported)


def test_the_others_are_flagged_everywhere_alike(asked: Cluster) -> None:
    tokens = by_metrics(asked).tokens
    assert tokens["input", True] > 0
    assert tokens == by_log(asked).tokens == by_ledger().tokens


def test_calls_of_tools_are_those_of_the_ledger_and_of_the_service(asked: Cluster) -> None:
    calls = summed(samples(scrape(asked.gunicorn)), "waldur_chat_tool_calls_total", "tool", "outcome")
    assert calls == {("show_links", "success"): WITH_TOOLS}
    assert ToolCall.objects.using(HOST).filter(status=ToolCall.Status.DONE).count() == WITH_TOOLS
    assert stats(asked.fake)["endings"]["called"] == WITH_TOOLS


def test_every_request_to_the_service_is_an_attempt(asked: Cluster) -> None:
    attempts = summed(samples(scrape(asked.gunicorn)), "waldur_chat_attempts_total")
    assert attempts == {(): stats(asked.fake)["asked"]}


def test_nothing_runs_or_waits_any_more(asked: Cluster) -> None:
    found = samples(scrape(asked.gunicorn))
    gauges = {name: value for name, _, value in found if name.endswith(("running_turns", "waiting_turns"))}
    assert gauges == {"waldur_chat_running_turns": 0, "waldur_chat_waiting_turns": 0}
