"""Fetch the lists of tools of servers, and pin what is in them. In the background while the site runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import Error

from waldur_chat.runtime import tenants
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.store import pinned_tools
from waldur_chat.store.pinned_tools import ListedTool
from waldur_chat.tools.mcp.client import LEAST_TTL, McpClient
from waldur_chat.tools.mcp.definitions import offered_name, read_all
from waldur_chat.tools.mcp.failures import McpFailure
from waldur_chat.tools.mcp.posting import Deadline
from waldur_chat.tools.mcp.servers import Headers, McpServer

logger = logging.getLogger(__name__)

SECONDS = 20.0
"""How long a server may take for its whole list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of a list: its seconds to live, the tools that wait for staff now, and what is wrong with others."""

    ttl: float
    waiting: Sequence[str]
    problems: Sequence[str] = field(default=())


def fetch(server: McpServer, headers: Headers | None = None) -> Fetched:
    """Fetch the list now, by default with the headers of the operator, and pin it. Raises `McpFailure`."""
    given = server.headers if headers is None else headers
    listing = McpClient(url=server.url, headers=given, deadline=Deadline(SECONDS)).list_tools()
    definitions, problems = read_all(listing.tools)
    listed = [
        ListedTool(
            tool=one.name,
            definition=one.text,
            hash=one.hash,
            names=(offered_name(server.name, one.name), offered_name(server.name, one.name, is_taken=True)),
        )
        for one in definitions
        if server.takes(one.name)
    ]
    waiting = pinned_tools.record(server.name, listed)
    for name in waiting:
        logger.warning("The tool %s is new or has changed. It is not offered until staff accept it.", name)
    for problem in problems:
        logger.warning("A tool of the MCP server %s is left out: %s", server.name, problem)
    return Fetched(ttl=listing.ttl, waiting=waiting, problems=problems)


class Listings:
    """When the list of each server is due in this process, and threads that fetch it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[tuple[Tenant | None, str], float] = {}

    def fetch_due(self, servers: Sequence[McpServer]) -> None:
        """Fetch the lists that are due, each in a thread of its own, and do not wait for them."""
        tenant = tenants.current()
        for server in servers:
            if self._claim(tenant, server):
                arguments = (tenant, server)
                threading.Thread(target=self.fetch_one, args=arguments, name="waldur-chat-mcp", daemon=True).start()

    def fetch_one(self, tenant: Tenant | None, server: McpServer) -> None:
        """Fetch one list in this thread. A failure is logged, and tried again later."""
        ttl = LEAST_TTL
        try:
            ttl = tenants.run_within(tenant, fetch, server).ttl
        except McpFailure as failure:
            logger.warning("The MCP server %s has not listed its tools. %s", server.name, failure)
        except Error as error:
            logger.error("The tools of the MCP server %s were not stored: %s", server.name, type(error).__name__)
        finally:
            self._due[tenant, server.name] = time.monotonic() + ttl
            release_connections()

    def _claim(self, tenant: Tenant | None, server: McpServer) -> bool:
        """Whether the list is due; if so, nobody else fetches it meanwhile."""
        key, now = (tenant, server.name), time.monotonic()
        with self._lock:
            if now < self._due.get(key, 0.0):
                return False
            self._due[key] = now + SECONDS + LEAST_TTL
            return True


listings_of_process = PerProcess(Listings)
