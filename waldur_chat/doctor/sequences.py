"""Compares the sequences of this package's tables with their rows, on PostgreSQL.

After a restore or an import a sequence may be behind its table, or not belong to its column: then
`manage.py sqlsequencereset` does not find it.
"""

from __future__ import annotations

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

from waldur_chat.doctor.findings import Finding, make_finding

_SEQUENCE = """
SELECT coalesce(
    pg_get_serial_sequence(quote_ident(table_schema) || '.' || quote_ident(table_name), 'id'),
    substring(column_default from 'nextval\\(''(.+)''::regclass')
)
FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s AND column_name = 'id'
"""


def check_sequences() -> list[Finding]:
    """Check every table. Other databases derive the next key from the rows."""
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return []
    tables = [model._meta.db_table for model in apps.get_app_config("waldur_chat").get_models()]
    return [finding for table in tables for finding in _check(table)]


def _check(table: str) -> list[Finding]:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_SEQUENCE, [table])
        ((sequence,),) = cursor.fetchall() or [(None,)]
        if sequence is None:
            return [make_finding("sequence_missing", table, table=table)]
        # The name comes from PostgreSQL itself, quoted where it must be.
        cursor.execute(f"SELECT last_value, is_called, (SELECT max(id) FROM {table}) FROM {sequence}")  # noqa: S608
        last, is_called, largest = cursor.fetchone()
    if largest is None or largest < last or (largest == last and is_called):
        return []
    seen = f"{table}: the largest key is {largest}, the sequence is at {last}"
    return [make_finding("sequence_behind", seen, table=table, sequence=sequence)]
