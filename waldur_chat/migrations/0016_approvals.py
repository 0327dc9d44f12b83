"""Approvals of calls of tools: answers that wait for them, and the turns that go on afterwards."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0015_tool_calls")]

    operations = [
        migrations.AddField(
            model_name="toolcall",
            name="continuation",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="waldur_chat.turn",
            ),
        ),
        migrations.CreateModel(
            name="ToolTrace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("call", models.UUIDField(db_index=True)),
            ],
            options={"abstract": False, "base_manager_name": "objects"},
        ),
        migrations.AlterField(
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
                    ("waiting", "Waiting"),
                ],
                default="complete",
                max_length=11,
            ),
        ),
    ]
