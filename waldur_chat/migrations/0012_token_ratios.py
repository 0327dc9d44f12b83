from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("waldur_chat", "0011_text_start")]

    operations = [
        migrations.CreateModel(
            name="TokenRatio",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(max_length=200)),
                ("kind", models.PositiveSmallIntegerField()),
                ("step", models.PositiveSmallIntegerField()),
                ("reports", models.PositiveBigIntegerField(default=0)),
                ("weight", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("model", "kind", "step"), name="waldur_chat_token_ratio_is_one_bar")
                ],
            },
        ),
    ]
