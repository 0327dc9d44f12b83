import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("waldur_chat", "0006_readings"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Piece",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("text", models.TextField()),
            ],
        ),
        migrations.AddField(
            model_name="turn",
            name="fingerprint",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="turn",
            name="is_new_question",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="turn",
            name="key",
            field=models.CharField(blank=True, max_length=255, null=True),
        ),
        migrations.AddField(
            model_name="turn",
            name="reason",
            field=models.CharField(blank=True, default="", max_length=50),
        ),
        migrations.AddConstraint(
            model_name="turn",
            constraint=models.UniqueConstraint(fields=("user", "key"), name="waldur_chat_key_has_one_turn"),
        ),
        migrations.AddField(
            model_name="piece",
            name="turn",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                db_index=False,
                related_name="pieces",
                to="waldur_chat.turn",
            ),
        ),
        migrations.AddIndex(
            model_name="piece",
            index=models.Index(fields=["turn", "position"], name="waldur_chat_piece_of_turn"),
        ),
    ]
