from django.db import migrations

MODELS = (
    "budget",
    "message",
    "piece",
    "reading",
    "seat",
    "session",
    "systemprompt",
    "systempromptversion",
    "thread",
    "turn",
)


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0007_rejoining")]

    operations = [
        *(migrations.AlterModelOptions(name=name, options={"base_manager_name": "objects"}) for name in MODELS),
        migrations.AlterModelOptions(
            name="dayofusage",
            options={"base_manager_name": "objects", "verbose_name_plural": "days of usage"},
        ),
    ]
