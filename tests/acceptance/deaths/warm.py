"""Configuration of gunicorn: what workers import for their first call is imported once, before they are forked."""

from typing import Any


def when_ready(server: Any) -> None:
    """Import it."""
    from waldur_chat.conf import load
    from waldur_chat.providers import openai  # noqa: F401
    from waldur_chat.providers.transport import aiohttp_transport  # noqa: F401
    from waldur_chat.tools import registry
    from waldur_chat.turns.tools import turn_tools  # noqa: F401

    assert len(registry.site_tools(load().tools).tools) > 3
