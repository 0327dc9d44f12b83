"""Tasks for a host that runs Celery, which finds this module by its name; nothing else imports it."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command


@shared_task(name="waldur_chat.cleanup", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types.
def cleanup() -> None:
    """Delete what the settings say may go. See `manage.py chat_cleanup`."""
    call_command("chat_cleanup")
