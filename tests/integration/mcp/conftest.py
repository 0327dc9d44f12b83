"""A site with an MCP server, whose list is fetched when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.fake import mcp_server
from tests.fake.mcp_server import FakeMcpServer
from tests.integration.tools.answering import model  # noqa: F401  # A fixture.
from waldur_chat.models import PinnedTool
from waldur_chat.store import pinned_tools
from waldur_chat.tools import registry
from waldur_chat.tools.mcp import listing
from waldur_chat.tools.mcp.listing import Listings, listings_of_process
from waldur_chat.tools.mcp.outages import outages_of_process
from waldur_chat.tools.mcp.revisions import revisions_of_process
from waldur_chat.tools.mcp.servers import McpServer


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the servers whose lists were looked after; nothing is fetched in the background."""
    names: list[str] = []

    def noted(listings: Listings, servers: Sequence[McpServer]) -> None:
        names.extend(server.name for server in servers)

    monkeypatch.setattr(Listings, "fetch_due", noted)
    for known in (listings_of_process, outages_of_process, revisions_of_process):
        known.reset()
    return names


@pytest.fixture
def fake() -> Iterator[FakeMcpServer]:
    """The server."""
    with mcp_server.running() as running:
        yield running


@pytest.fixture
def entry(fake: FakeMcpServer) -> Callable[..., Any]:
    """Makes `TOOLS` with the server as `jira`."""
    return lambda **values: {"jira": {"MCP": {"url": fake.url}, **values}}


@pytest.fixture
def site(settings: Any, entry: Callable[..., Any]) -> Callable[..., Any]:
    """Sets the site up with the server as `jira`."""

    def set_up(**values: Any) -> None:
        settings.WALDUR_CHAT = {"TOOLS": entry(**values)}

    return set_up


def fetch() -> listing.Fetched:
    """Fetch the list of the site's server."""
    (server,) = registry.examine().servers
    return listing.fetch(server)


def accept(name: str = "jira_search") -> None:
    """Accept the tool as it is."""
    row = PinnedTool.objects.get(name=name)
    assert pinned_tools.decide(row, row.hash, None, accept=True)


def pinned() -> dict[str, str]:
    """The state of each tool."""
    return dict(PinnedTool.objects.order_by("name").values_list("name", "status"))


def offered() -> list[str]:
    """The names of the tools that a model gets."""
    return list(registry.site_tools().tools)
