"""A living process is not taken for dead, whatever its wall clock says and however late it is; a dead one is."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.clocks import burners, pair, read_while_clocks_step
from tests.processes import Running

STREAMS, SECONDS = 10, 8.0
MANY_STREAMS, MANY_SECONDS, BURNERS = 100, 40.0, 4


@pytest.mark.core
def test_clocks_that_step_end_no_answer(fake: Running, database: str, tmp_path: Path) -> None:
    with pair(tmp_path, database=database, provider=f"{fake.address}/v1") as running:
        answers = asyncio.run(read_while_clocks_step(running, STREAMS, SECONDS))
    assert Counter(answer.outcome for answer in answers) == {"end": 2 * STREAMS}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.slow
def test_a_busy_machine_whose_clocks_step_ends_none_of_a_hundred_on_sqlite(fake: Running, tmp_path: Path) -> None:
    database = str(tmp_path / "host.sqlite3")
    with pair(tmp_path, database=database, provider=f"{fake.address}/v1") as running, burners(BURNERS):
        answers = asyncio.run(read_while_clocks_step(running, MANY_STREAMS, MANY_SECONDS))
    assert Counter(answer.outcome for answer in answers) == {"end": 2 * MANY_STREAMS}
    assert len({answer.text for answer in answers}) == 1
