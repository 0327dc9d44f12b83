"""Any number may read one answer, on other machines too, and all see the same."""

from __future__ import annotations

import asyncio

from tests.acceptance.cluster.machines import Cluster
from tests.acceptance.cluster.viewers import watch

VIEWERS = 20


def test_viewers_elsewhere_see_everything(mixed: Cluster) -> None:
    for writer, elsewhere in (mixed.ports, reversed(mixed.ports)):
        answers = asyncio.run(watch(writer, elsewhere, VIEWERS, "fake:tokens=30&delay=0.05"))
        assert {(one.text, one.end) for one in answers} == {("".join(f"w{n} " for n in range(30)), "end")}
    assert mixed.complaints() == []
