import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("waldur_chat", "0002_prompts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("created", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("modified", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Thread",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(default="New chat", max_length=150)),
                ("is_named", models.BooleanField(default=False)),
                ("flags", models.JSONField(blank=True, default=dict)),
                ("is_archived", models.BooleanField(default=False)),
                ("message_count", models.PositiveIntegerField(default=0)),
                ("input_tokens", models.PositiveBigIntegerField(default=0)),
                ("output_tokens", models.PositiveBigIntegerField(default=0)),
                ("total_tokens", models.PositiveBigIntegerField(default=0)),
                ("title_input_tokens", models.PositiveIntegerField(default=0)),
                ("title_output_tokens", models.PositiveIntegerField(default=0)),
                ("models_used", models.CharField(blank=True, default="", max_length=500)),
                ("is_flagged", models.BooleanField(default=False)),
                (
                    "max_severity",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("critical", "Critical"),
                        ],
                        default="none",
                        max_length=8,
                    ),
                ),
                ("positive_feedback", models.PositiveIntegerField(default=0)),
                ("negative_feedback", models.PositiveIntegerField(default=0)),
                ("created", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("modified", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="threads", to="waldur_chat.session"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("role", models.CharField(choices=[("user", "User"), ("assistant", "Assistant")], max_length=9)),
                ("text", models.TextField()),
                ("warning", models.TextField(blank=True, default="")),
                ("sequence_index", models.PositiveIntegerField()),
                ("is_current", models.BooleanField(default=True)),
                ("created", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("model", models.CharField(blank=True, default="", max_length=200)),
                ("input_tokens", models.PositiveIntegerField(blank=True, null=True)),
                ("output_tokens", models.PositiveIntegerField(blank=True, null=True)),
                ("feedback_score", models.BooleanField(blank=True, null=True)),
                ("feedback_comment", models.TextField(blank=True, default="")),
                (
                    "feedback_category",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("inaccurate", "Inaccurate"),
                            ("incomplete", "Incomplete"),
                            ("misunderstood", "Misunderstood"),
                            ("other", "Other"),
                            ("slow_or_failed", "Slow Or Failed"),
                        ],
                        default="",
                        max_length=14,
                    ),
                ),
                ("feedback_submitted_at", models.DateTimeField(blank=True, null=True)),
                ("is_flagged", models.BooleanField(default=False)),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("critical", "Critical"),
                        ],
                        default="none",
                        max_length=8,
                    ),
                ),
                ("injection_categories", models.JSONField(blank=True, default=dict)),
                ("pii_categories", models.JSONField(blank=True, default=dict)),
                (
                    "action_taken",
                    models.CharField(
                        choices=[
                            ("allow", "Allow"),
                            ("flag", "Flag"),
                            ("warn", "Warn"),
                            ("redact", "Redact"),
                            ("block", "Block"),
                        ],
                        default="allow",
                        max_length=6,
                    ),
                ),
                (
                    "replaces",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="waldur_chat.message",
                    ),
                ),
                (
                    "thread",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="messages", to="waldur_chat.thread"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["session", "created", "id"], name="waldur_chat_thread_of_session"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["session", "modified", "id"], name="waldur_chat_thread_last_used"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["created", "id"], name="waldur_chat_thread_created"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["modified", "id"], name="waldur_chat_thread_modified"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["input_tokens", "id"], name="waldur_chat_thread_input"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["output_tokens", "id"], name="waldur_chat_thread_output"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["total_tokens", "id"], name="waldur_chat_thread_total"),
        ),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["models_used", "id"], name="waldur_chat_thread_models"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("feedback_score__isnull", False)),
                fields=["feedback_score", "id"],
                name="waldur_chat_message_feedback",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("is_flagged", True)), fields=["id"], name="waldur_chat_message_flagged"
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_current", True)),
                fields=("thread", "sequence_index"),
                name="waldur_chat_message_has_one_current_version",
            ),
        ),
    ]
