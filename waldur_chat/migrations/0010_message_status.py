from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import OuterRef, Subquery

from waldur_chat.migrations._defaults import keep_defaults

REASONS = {"length": "length", "content_filter": "filtered"}
STATUSES = {"failed": "failed", "cancelled": "stopped", "interrupted": "interrupted"}


def set_status(apps: Any, schema_editor: Any) -> None:
    """Derive the status of stored messages from the last turn of each."""
    message, turn = apps.get_model("waldur_chat", "Message"), apps.get_model("waldur_chat", "Turn")
    messages = message.objects.using(schema_editor.connection.alias)
    turns = turn.objects.using(schema_editor.connection.alias).filter(purpose="answer")
    for reason, status in REASONS.items():
        ended = turns.filter(status="finished", reason=reason, answer__isnull=False)
        messages.filter(pk__in=ended.values("answer")).update(status=status)
    for turn_status, status in STATUSES.items():
        ended = turns.filter(status=turn_status)
        of_answer = ended.filter(answer=OuterRef("pk")).order_by("-id").values("code")[:1]
        messages.filter(pk__in=ended.filter(answer__isnull=False).values("answer")).update(
            status=status, code=Subquery(of_answer)
        )
        newest = turns.filter(question=OuterRef("pk")).order_by("-id")
        unanswered = messages.filter(role="user").annotate(
            last_status=Subquery(newest.values("status")[:1]), last_answer=Subquery(newest.values("answer")[:1])
        )
        keys = unanswered.filter(last_status=turn_status, last_answer__isnull=True).values_list("pk", flat=True)
        messages.filter(pk__in=list(keys)).update(status=status, code=Subquery(newest.values("code")[:1]))


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0009_verbose_names")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="status",
            field=models.CharField(
                choices=[
                    ("complete", "Complete"),
                    ("stopped", "Stopped"),
                    ("failed", "Failed"),
                    ("interrupted", "Interrupted"),
                    ("length", "Length"),
                    ("filtered", "Filtered"),
                ],
                default="complete",
                max_length=11,
            ),
        ),
        migrations.AddField(
            model_name="message", name="code", field=models.CharField(blank=True, default="", max_length=50)
        ),
        keep_defaults("Message", "status", "code"),
        migrations.RunPython(set_status, migrations.RunPython.noop),
    ]
