"""Calls of tools, and the blocks of the answers that they are part of."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from waldur_chat.migrations._defaults import keep_defaults


class Migration(migrations.Migration):
    dependencies = [
        ("waldur_chat", "0014_audited_acts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="blocks",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="turn",
            name="tool_events",
            field=models.PositiveIntegerField(default=0),
        ),
        keep_defaults("Turn", "tool_events"),
        migrations.CreateModel(
            name="ToolCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("round_number", models.PositiveSmallIntegerField(default=0)),
                ("number", models.PositiveSmallIntegerField(default=0)),
                ("position", models.PositiveIntegerField(default=0)),
                ("call_id", models.CharField(blank=True, default="", max_length=64)),
                ("extra", models.JSONField(blank=True, default=dict)),
                ("tool", models.CharField(max_length=100)),
                ("schema_hash", models.CharField(blank=True, default="", max_length=64)),
                ("arguments", models.TextField(default="{}")),
                ("arguments_hash", models.CharField(blank=True, default="", max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("waiting", "Waiting"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("expired", "Expired"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("unknown", "Unknown"),
                        ],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("summary", models.TextField(blank=True, default="")),
                ("result", models.TextField(blank=True, default="")),
                ("ui_component", models.CharField(blank=True, default="", max_length=50)),
                ("ui_data", models.JSONField(blank=True, default=dict)),
                ("is_touched", models.BooleanField(default=False)),
                ("created", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("ended", models.DateTimeField(null=True)),
                ("expires", models.DateTimeField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "thread",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="waldur_chat.thread",
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="tool_calls",
                        to="waldur_chat.turn",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["turn", "number"], name="waldur_chat_call_of_turn")],
            },
        ),
    ]
