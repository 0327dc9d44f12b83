"""The Django application."""

from __future__ import annotations

import sys

from django.apps import AppConfig


class WaldurChatConfig(AppConfig):
    """The label is not `chat`, which newer Waldur hosts use. Starting the app opens and runs nothing."""

    name = "waldur_chat"
    label = "waldur_chat"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Waldur chat"

    problem = ""
    """Why the Waldur plugin could not register the API; reported by `checks`."""

    def ready(self) -> None:
        """Register the checks, what the first request begins, and the admin pages on a site that came after them."""
        from waldur_chat import checks, import_ahead  # noqa: F401

        import_ahead.begin_with_first_request()
        if "waldur_chat.admin" in sys.modules:
            from django.contrib import admin

            from waldur_chat.admin import register

            register(admin.site)
