"""`manage.py chat_cleanup`: delete conversations that were not used for long, and leftovers of turns."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from waldur_chat import conf
from waldur_chat.store.conversations import retention


class Command(BaseCommand):
    """`manage.py chat_cleanup`. It can run at any time, and several can run at once."""

    help = "Delete conversations that nobody used for RETENTION_DAYS, in small steps. The ledger of usage stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=_days, metavar="N", help="instead of WALDUR_CHAT['RETENTION_DAYS']")
        parser.add_argument("--dry-run", action="store_true", help="delete nothing; say how much it would be")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"] or _retention_days()
        clean = self._count if options["dry_run"] else self._delete
        clean(timezone.now() - timedelta(days=days) if days else None)

    def _count(self, before: datetime | None) -> None:
        threads = retention.unused_threads(before).count() if before else 0
        left = retention.leftovers()
        self._say("It would delete", before, threads, left)

    def _delete(self, before: datetime | None) -> None:
        deleted = 0
        total = retention.unused_threads(before).count() if before else 0
        for number in retention.delete_threads(before) if before else ():
            deleted += number
            self.stdout.write(f"{deleted} of {total} conversations deleted")
        self._say("Deleted", before, deleted, retention.delete_leftovers())

    def _say(self, verb: str, before: datetime | None, threads: int, left: retention.Leftovers) -> None:
        if before is None:
            self.stdout.write("Conversations stay: WALDUR_CHAT['RETENTION_DAYS'] is not set, and there is no --days.")
        else:
            self.stdout.write(f"{verb} {threads} conversations that nobody used since {before:%Y-%m-%d %H:%M}.")
        self.stdout.write(
            f"{verb} {left.turns} ended turns without a conversation and {left.slots} expired concurrency slots."
        )


def _retention_days() -> int | None:
    try:
        return conf.load().retention_days
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def _days(value: str) -> int:
    """A whole number of days; its upper bound keeps date arithmetic within the calendar."""
    if not value.isdecimal() or not 1 <= int(value) <= 36_500:
        raise ArgumentTypeError("must be a whole number of days from 1 to 36500")
    return int(value)
