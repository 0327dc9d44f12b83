from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("waldur_chat", "0008_default_database"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="piece",
            options={"base_manager_name": "objects", "verbose_name": "partial output"},
        ),
        migrations.AlterModelOptions(
            name="reading",
            options={
                "base_manager_name": "objects",
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit entries",
            },
        ),
        migrations.AlterModelOptions(
            name="seat",
            options={"base_manager_name": "objects", "verbose_name": "concurrency slot"},
        ),
    ]
