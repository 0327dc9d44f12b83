"""A new version is put on machine after machine: every answer ends, and its reader is told how."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.cluster import deploys
from tests.acceptance.cluster.machines import cluster
from tests.processes import Running

STREAMS = 20


@pytest.mark.parametrize(("grace", "usual", "lucky"), [(20, {"end"}, set()), (2, {"error server_stopping"}, {"end"})])
def test_a_rolling_restart_leaves_no_stream_without_its_end(
    grace: int, usual: set[str], lucky: set[str], fake: Running, postgresql_cluster_database: str, tmp_path: Path
) -> None:
    servers = ["uvicorn", "gunicorn-gthread"]
    options = {"provider": f"{fake.address}/v1", "settings": {"SHUTDOWN_SECONDS": grace}}
    with cluster(servers, tmp_path, database=postgresql_cluster_database, **options) as running:
        served = asyncio.run(deploys.roll(running, STREAMS))
        assert running.complaints() == []
    assert {one.answer.outcome for one in served} - lucky == usual
    for one in served:
        assert one.answer.text == one.sent if one.answer.end == "end" else one.sent.startswith(one.answer.text)


@pytest.mark.parametrize(("grace", "outcome"), [(20, "end"), (1, "error server_stopping")])
def test_who_is_away_while_his_machine_stops_finds_an_end(
    grace: int, outcome: str, fake: Running, postgresql_cluster_database: str, tmp_path: Path
) -> None:
    servers, question = ["uvicorn", "gunicorn-gthread"], "fake:tokens=40&delay=0.1"
    options = {"provider": f"{fake.address}/v1", "settings": {"SHUTDOWN_SECONDS": grace}}
    with cluster(servers, tmp_path, database=postgresql_cluster_database, **options) as running:
        for one, other in (running.machines, running.machines[::-1]):
            answer = asyncio.run(deploys.come_back(one, other, question))
            assert answer.outcome == outcome
            assert answer.text.startswith("w0 w1 ")
            one.start()
        assert running.complaints() == []
