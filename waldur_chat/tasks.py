"""Tasks for hosts that run Celery, which finds this module by its name; nothing else imports it."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command


@shared_task(name="waldur_chat.cleanup", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types.
def cleanup() -> None:
    """Delete what has expired, as `manage.py chat_cleanup` does."""
    call_command("chat_cleanup")
