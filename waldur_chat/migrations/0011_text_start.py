"""Thoughts that were streamed before the stored answer count in the position of readers."""

from django.db import migrations, models

from waldur_chat.migrations._defaults import keep_defaults


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0010_message_status")]

    operations = [
        migrations.AddField(model_name="turn", name="text_start", field=models.PositiveIntegerField(default=0)),
        keep_defaults("Turn", "text_start"),
    ]
