"""Audit entries say what was done: who impersonates a user may ask in their name, too."""

from django.db import migrations, models

from waldur_chat.migrations._defaults import keep_defaults


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0013_request_rates")]

    operations = [
        migrations.AddField(
            model_name="reading",
            name="act",
            field=models.CharField(choices=[("read", "Read"), ("asked", "Asked")], default="read", max_length=5),
        ),
        keep_defaults("Reading", "act"),
    ]
