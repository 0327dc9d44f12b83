"""The Waldur plugin, loaded by its entry point. The only module that imports `waldur_core`.

Waldur loads it while it builds its settings, and fails to start if that fails. So the module imports nothing that needs
settings, and later errors are stored for `manage.py check` (waldur_chat.W005).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from waldur_core.core import WaldurExtension

logger = logging.getLogger(__name__)


class WaldurChatExtension(WaldurExtension):  # type: ignore[misc]  # Waldur has no types.
    """Adds the app, its URLs below `/api/` and its settings to a Waldur host."""

    class Settings:
        """Merged into the host's settings, before the site's own are read."""

        WALDUR_CHAT: dict[str, Any] = {}

    @staticmethod
    def django_app() -> str:
        """Return the app to install."""
        return "waldur_chat"

    @staticmethod
    def rest_urls() -> Callable[[Any], None]:
        """Return the function that registers the API in the host's router."""
        return _register

    @staticmethod
    def celery_tasks() -> dict[str, Any]:
        """Return the schedule for the host's Celery beat; the task is in `waldur_chat.tasks`.

        At a time of day: beat counts an interval from its own start if its schedule file does not outlive a container,
        so that one of a day may never pass.
        """
        schedule: Any = timedelta(days=1)
        with suppress(ImportError):  # Without Celery nobody reads the schedule.
            from celery.schedules import crontab

            schedule = crontab(hour="3", minute="30")
        return {"waldur-chat-cleanup": {"task": "waldur_chat.cleanup", "schedule": schedule, "args": ()}}


def _register(router: Any) -> None:
    from django.apps import apps

    app_config: Any = apps.get_app_config("waldur_chat")
    try:
        from waldur_chat import conf
        from waldur_chat.api import routing

        prefix = conf.site_value("URL_PREFIX")
        if _is_taken(routing.prefixes(prefix), router, [app.label for app in apps.get_app_configs()]):
            app_config.problem = (
                f"The host has an API of its own below the prefix {prefix!r}, so the chat API steps aside. "
                "Give it another one in WALDUR_CHAT['URL_PREFIX']."
            )
        else:
            routing.register(router, prefix)
    except Exception as error:  # Any error: it must not stop the host.
        logger.exception("The chat API could not be registered")
        app_config.problem = f"The chat API could not be registered: {type(error).__name__}: {error}"


def _is_taken(prefixes: Iterable[str], router: Any, labels: list[str]) -> bool:
    """Whether the host uses one of these prefixes, or will: newer hosts use `chat` as prefix and app label."""
    wanted = set(prefixes)
    return any(registered in wanted for registered, *_ in router.registry) or ("chat" in wanted & set(labels))
