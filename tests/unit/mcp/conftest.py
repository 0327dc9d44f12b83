"""A server of each revision, and processes that know nothing of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake import mcp_server
from tests.fake.mcp_server import FakeMcpServer
from waldur_chat.tools.mcp.outages import outages_of_process
from waldur_chat.tools.mcp.revisions import revisions_of_process

SPOKEN = {
    "2026": {"speaks": "2026"},
    "2026-sse": {"speaks": "2026", "sse": True},
    "2025": {"speaks": "2025-11-25"},
    "2025-session": {"speaks": "2025-06-18", "session": "s-1"},
    "2025-session-sse": {"speaks": "2025-03-26", "session": "s-1", "sse": True},
}


@pytest.fixture(autouse=True)
def nothing_is_known() -> None:
    """Nothing was negotiated, and nothing has failed."""
    revisions_of_process.reset()
    outages_of_process.reset()


@pytest.fixture
def fake() -> Iterator[FakeMcpServer]:
    """A server of 2026."""
    with mcp_server.running() as running:
        yield running


@pytest.fixture(params=SPOKEN)
def any_server(request: pytest.FixtureRequest) -> Iterator[FakeMcpServer]:
    """A server of each revision."""
    with mcp_server.running(**SPOKEN[request.param]) as running:
        yield running
