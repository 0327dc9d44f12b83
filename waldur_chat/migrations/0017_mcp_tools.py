"""Definitions of tools of MCP servers, as staff have seen them."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("waldur_chat", "0016_approvals"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PinnedTool",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("server", models.CharField(max_length=32)),
                ("tool", models.CharField(max_length=128)),
                ("name", models.CharField(max_length=64, unique=True)),
                ("definition", models.TextField()),
                ("hash", models.CharField(max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("accepted", "Accepted"),
                            ("changed", "Changed"),
                            ("refused", "Refused"),
                        ],
                        default="new",
                        max_length=8,
                    ),
                ),
                ("accepted_definition", models.TextField(blank=True, default="")),
                ("accepted_hash", models.CharField(blank=True, default="", max_length=64)),
                ("is_listed", models.BooleanField(default=True)),
                ("created", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("changed", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
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
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("server", "tool"), name="waldur_chat_pinned_tool_once")
                ],
            },
        ),
    ]
