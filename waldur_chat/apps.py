"""The Django application."""

from __future__ import annotations

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
        """Register the checks."""
        from waldur_chat import checks  # noqa: F401
