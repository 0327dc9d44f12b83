"""`manage.py chat_uninstall`: remove all that the package has written to the database, before it is uninstalled.

Tables that stay behind refer to the host's users, which then could not be deleted any more.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, connections, transaction

APP = "waldur_chat"


class Command(BaseCommand):
    """`manage.py chat_uninstall`. It may be repeated, and needs no valid settings of the chat."""

    help = (
        "Delete all tables of the chat with everything in them, its permissions, content types and migration records."
    )
    requires_system_checks: Any = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="which database (default)")

    def handle(self, *args: Any, yes: bool, database: str, **options: Any) -> None:
        tables = _tables(database)
        self.stdout.write(f"Tables to be deleted, with everything in them: {', '.join(tables) or 'none'}.")
        if not yes and input("Type 'yes' to go on: ") != "yes":
            raise CommandError("Nothing was deleted.")
        call_command("migrate", APP, "zero", database=database, verbosity=0, skip_checks=True)
        removed = _delete_references(database)
        self.stdout.write(f"{len(tables)} tables, {removed} content types with their permissions are gone.")
        self.stdout.write(
            "Now take waldur_chat out of INSTALLED_APPS and the URLs of the site, then uninstall the package. "
            "Another `migrate` before that makes the tables anew."
        )


def _tables(database: str) -> list[str]:
    present = set(connections[database].introspection.table_names())
    return sorted({model._meta.db_table for model in apps.get_app_config(APP).get_models()} & present)


def _delete_references(database: str) -> int:
    """Delete what Django's own apps have stored about our models. Returns the number of content types."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return 0
    # Importing their models fails where the apps are not installed, so it cannot be at the top.
    from django.contrib.contenttypes.models import ContentType

    kinds = ContentType.objects.using(database).filter(app_label=APP)
    removed = int(kinds.count())
    with transaction.atomic(using=database):
        if apps.is_installed("django.contrib.admin"):
            from django.contrib.admin.models import LogEntry

            LogEntry.objects.using(database).filter(content_type__in=kinds).delete()
        kinds.delete()  # And with them permissions, also those of groups and users.
    ContentType.objects.clear_cache()
    return removed
