"""The clusters of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.cluster.machines import Cluster, cluster
from tests.acceptance.databases import opened
from tests.acceptance.postgresql import pooled
from tests.processes import Running

CONNECTIONS = 10


@pytest.fixture(scope="module")
def postgresql_cluster_database(postgresql_address: str, django_db_blocker: Any) -> Iterator[str]:
    """A PostgreSQL database, open under the alias `databases.HOST`; gives its address for machines."""
    with django_db_blocker.unblock(), opened(postgresql_address):
        yield pooled(postgresql_address, CONNECTIONS)


@pytest.fixture(scope="module")
def mixed(
    fake: Running, postgresql_cluster_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One machine of each kind: ASGI and WSGI."""
    directory, provider = tmp_path_factory.mktemp("cluster"), f"{fake.address}/v1"
    servers = ["uvicorn", "gunicorn-gthread"]
    with cluster(servers, directory, database=postgresql_cluster_database, provider=provider) as running:
        yield running
