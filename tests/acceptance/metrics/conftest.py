"""Four processes that share their metrics: gunicorn and uvicorn with two workers each, on one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.databases import opened
from tests.acceptance.needs import module
from tests.processes import Running, host, set_up

METRICS_TOKEN = "for-the-scraper"
TOOLS = {"show_links": {"BACKEND": "tests.demo.tools.show_links"}}
ROOM = 40
SETTINGS = {
    "METRICS": True,
    "METRICS_TOKEN": METRICS_TOKEN,
    "TOOLS": TOOLS,
    "ATTEMPTS": 1,
    "BREAKER_FAILURES": 5,
    "TURNS_PER_PROCESS": ROOM,
    "QUEUE_LENGTH": 0,
}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The two servers, and the model service behind them."""

    gunicorn: Running
    uvicorn: Running
    fake: Running

    @property
    def servers(self) -> list[Running]:
        return [self.gunicorn, self.uvicorn]


@pytest.fixture(scope="module")
def cluster(
    fake: Running, postgresql_address: str, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[Cluster]:
    """The cluster, and its database under the alias `databases.HOST`."""
    module("prometheus_client")
    directory = tmp_path_factory.mktemp("cluster")
    shared = directory / "metrics"
    shared.mkdir()
    set_up({"DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": postgresql_address})
    with ExitStack() as stack, django_db_blocker.unblock():

        def start(server: str) -> Running:
            options: Any = {
                "model": "tokens=5",
                "provider": f"{fake.address}/v1",
                "settings": SETTINGS,
                "database": postgresql_address,
                "environment": {"PROMETHEUS_MULTIPROC_DIR": str(shared)},
                "arguments": ["--workers", "2"],
                "is_set_up": True,
            }
            return stack.enter_context(host(server, directory, **options))

        servers = {"gunicorn": start("gunicorn-gthread"), "uvicorn": start("uvicorn")}
        stack.enter_context(opened(postgresql_address))
        yield Cluster(fake=fake, **servers)
