"""Lists are fetched in the background, when they are due, and nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from tests.fake.mcp_server import FakeMcpServer
from tests.integration.chatting import until
from tests.integration.mcp.conftest import pinned
from waldur_chat.tools import registry
from waldur_chat.tools.mcp import listing
from waldur_chat.tools.mcp.listing import Listings
from waldur_chat.tools.mcp.servers import McpServer

pytestmark = pytest.mark.django_db(transaction=True)

FETCH_DUE = Listings.fetch_due


@pytest.fixture
def server(site: Callable[..., Any]) -> McpServer:
    """The server of the site."""
    site()
    return registry.examine().servers[0]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock."""
    clock = [1000.0]
    monkeypatch.setattr("waldur_chat.tools.mcp.listing.time.monotonic", lambda: clock[0])
    return clock


def test_a_list_is_fetched_in_a_thread_of_its_own(server: McpServer) -> None:
    FETCH_DUE(Listings(), [server])
    until(lambda: pinned() == {"jira_search": "new"})
    until(lambda: "waldur-chat-mcp" not in [thread.name for thread in threading.enumerate()])


def test_a_list_is_fetched_again_when_its_time_is_over(server: McpServer, now: list[float]) -> None:
    listings = Listings()
    assert listings._claim(None, server)
    listings.fetch_one(None, server)
    now[0] += 119.0
    assert not listings._claim(None, server)
    now[0] += 1.0
    assert listings._claim(None, server)


def test_a_list_that_is_being_fetched_is_not_fetched_by_others(server: McpServer) -> None:
    listings = Listings()
    assert listings._claim(None, server)
    FETCH_DUE(listings, [server])
    assert pinned() == {}


def test_a_dead_server_is_asked_again_later(
    server: McpServer, fake: FakeMcpServer, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    fake.faults["server/discover"] = lambda handler: handler.send(401, b"")
    listings = Listings()
    listings.fetch_one(None, server)
    assert "The MCP server jira has not listed its tools. It refuses the credentials." in caplog.text
    assert not listings._claim(None, server)
    now[0] += 60.0
    assert listings._claim(None, server)


def test_a_database_that_is_away_is_logged(
    server: McpServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the password is k-1")

    monkeypatch.setattr(listing.pinned_tools, "record", away)
    Listings().fetch_one(None, server)
    assert "The tools of the MCP server jira were not stored: OperationalError" in caplog.text
    assert "k-1" not in caplog.text
