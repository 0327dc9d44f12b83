"""Whether the prompt of a turn held context of the site with words of strangers."""

from django.db import migrations, models

from waldur_chat.migrations._defaults import keep_defaults


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0018_argument_origins")]

    operations = [
        migrations.AddField(
            model_name="turn",
            name="has_tainted_context",
            field=models.BooleanField(default=False),
        ),
        keep_defaults("Turn", "has_tainted_context"),
    ]
