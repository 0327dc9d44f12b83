"""What is kept with a call that waits: where its arguments come from, and the thoughts that the model gets back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0017_mcp_tools")]

    operations = [
        migrations.AddField(
            model_name="toolcall",
            name="origins",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="toolcall",
            name="thoughts",
            field=models.JSONField(blank=True, null=True),
        ),
    ]
