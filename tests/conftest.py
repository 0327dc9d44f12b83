"""What all tests need first."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def host_urls() -> None:
    """Import the host's views under the host's own settings, before a test replaces these."""
    import tests.host.urls  # noqa: F401
