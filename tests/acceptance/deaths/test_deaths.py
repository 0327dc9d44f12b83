"""A process is killed at any moment after an approval: the call has its effect once at most, and says what it has done.

`WALDUR_CHAT_SEED` repeats the moments of an earlier run, `WALDUR_CHAT_KILLS` says how many there are at random.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.acceptance.databases import opened
from tests.acceptance.deaths.tools import TOOLS, row_of
from tests.acceptance.deaths.victims import KINDS, Kind, Proposed, kill, propose, verdicts, victim
from tests.acceptance.streams import eventually
from tests.processes import Running, host

pytestmark = pytest.mark.slow

KILLS, AT_ONCE = int(os.environ.get("WALDUR_CHAT_KILLS", "100")), 3
FIRST_STEP, MOST_STEPS = 18, 150
"""Before the first one, the request finds out who asks; see `steps`."""
SECONDS = 0.6
"""About how long it takes from the first decision to the last end of calls that run at once."""


@pytest.fixture(scope="module")
def processes(
    fake: Running, postgresql_address: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, dict[bool, Running]]]:
    """One that lives, and two that are killed: without ATOMIC_REQUESTS and with them."""
    directory = tmp_path_factory.mktemp("deaths")
    options = {
        "database": postgresql_address,
        "provider": f"{fake.address}/v1",
        "settings": {"STORAGE": True, "TOOLS": TOOLS, "TITLES": False},
    }
    with django_db_blocker.unblock(), opened(postgresql_address), ExitStack() as stack:
        urls = {"WALDUR_CHAT_URLS": "tests.projects.urls"}
        survivor = stack.enter_context(host("gunicorn-gthread", directory, environment=urls, **options))
        dying = {one: stack.enter_context(victim(directory, atomic_requests=one, **options)) for one in (False, True)}
        assert propose(survivor, KINDS[0]).approve(survivor) == "200"  # From now on it looks after others.
        yield survivor, dying


def assert_decided_once(survivor: Running, tried: list[Proposed]) -> None:
    """Approve all calls again: those that still wait have their effect now, and nothing else changes."""
    for one in tried:
        before = one.verdict()
        answer, after = one.approve(survivor), one.verdict()
        ended = "failed 2" if one.kind.arguments else "done 2"
        assert (answer, after) == (("200", ended) if before == "waiting 0" else ("409", before)), (one.kind, before)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_killed_before_any_step_a_call_is_done_once_at_most(
    processes: tuple[Running, dict[bool, Running]], kind: Kind
) -> None:
    survivor, dying = processes
    tried: list[Proposed] = []
    for step in range(FIRST_STEP, MOST_STEPS):
        tried.append(propose(survivor, kind))
        if tried[-1].approve(dying[kind.requests], step) != "died":
            break
    assert 20 < len(tried) < MOST_STEPS - FIRST_STEP
    found = verdicts(tried)
    print(f"{len(tried)} steps:", dict(found))
    assert {before.partition(" ")[0] for _, before in found} >= {"waiting", "expired", "unknown"}
    assert_decided_once(survivor, tried)


def test_killed_at_random_moments_calls_are_done_once_at_most(processes: tuple[Running, dict[bool, Running]]) -> None:
    survivor, dying = processes
    seed = int(os.environ.get("WALDUR_CHAT_SEED", random.SystemRandom().randrange(10**6)))
    chance, tried = random.Random(seed), list[Proposed]()
    print("seed", seed)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(KILLS):
            kinds = chance.sample(KINDS, AT_ONCE)
            calls = [propose(survivor, kind, pause=chance.uniform(0, SECONDS / 3)) for kind in kinds]
            answers = [pool.submit(one.approve, dying[one.kind.requests]) for one in calls]
            assert eventually(lambda: _has_begun(calls), 60)  # noqa: B023
            time.sleep(chance.uniform(0, SECONDS))
            for one in dying.values():
                kill(one)
            for answer in answers:
                answer.result()
            tried += calls
    found = verdicts(tried)
    print(dict(found))
    assert len(tried) == KILLS * AT_ONCE
    assert_decided_once(survivor, tried)


def _has_begun(calls: list[Proposed]) -> bool:
    return any(row_of(one.call).status != "waiting" for one in calls)
