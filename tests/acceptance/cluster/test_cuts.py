"""A connection that is cut at any byte costs its reader nothing."""

from __future__ import annotations

import asyncio

from tests.acceptance.cluster.cuts import read_all
from tests.acceptance.cluster.machines import Cluster

STREAMS = 60


def test_readers_that_were_cut_off_have_each_byte_once(mixed: Cluster) -> None:
    answers = asyncio.run(read_all([mixed.port], STREAMS, STREAMS))
    assert [answer.end for _, answer in answers] == ["end"] * STREAMS
    assert [answer.text for _, answer in answers] == [sent for sent, _ in answers]
    assert sum(answer.connections for _, answer in answers) > 2 * STREAMS
    assert mixed.complaints() == []
