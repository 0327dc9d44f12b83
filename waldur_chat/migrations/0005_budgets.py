import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("waldur_chat", "0004_turns"),
    ]

    operations = [
        migrations.CreateModel(
            name="Budget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_site", models.BooleanField(editable=False, null=True, unique=True)),
                (
                    "daily_limit",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Tokens. Empty: the site's default; -1: no limit; 0: nothing.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(-1)],
                    ),
                ),
                (
                    "weekly_limit",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Tokens. Empty: the site's default; -1: no limit; 0: nothing.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(-1)],
                    ),
                ),
                (
                    "monthly_limit",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Tokens. Empty: the site's default; -1: no limit; 0: nothing.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(-1)],
                    ),
                ),
                ("day", models.DateField(editable=False, null=True)),
                ("daily_tokens", models.PositiveBigIntegerField(default=0, editable=False)),
                ("week", models.DateField(editable=False, null=True)),
                ("weekly_tokens", models.PositiveBigIntegerField(default=0, editable=False)),
                ("month", models.DateField(editable=False, null=True)),
                ("monthly_tokens", models.PositiveBigIntegerField(default=0, editable=False)),
                ("reserved", models.PositiveBigIntegerField(default=0, editable=False)),
                (
                    "user",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DayOfUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("model", models.CharField(max_length=200)),
                ("turns", models.PositiveIntegerField(default=0)),
                ("input_tokens", models.PositiveBigIntegerField(default=0)),
                ("output_tokens", models.PositiveBigIntegerField(default=0)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "days of usage",
                "constraints": [
                    models.UniqueConstraint(fields=("day", "user", "model"), name="waldur_chat_usage_is_counted_once")
                ],
            },
        ),
    ]
