"""Column defaults that stay in the database, so that the release before a migration can still insert rows.

Django drops the default after adding a column (before 5.0 there is no `db_default`), so during a rolling deployment the
processes that run the older release could write nothing more. Only on PostgreSQL: with SQLite there is one machine.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


def keep_defaults(model: str, *fields: str) -> migrations.RunPython:
    """The operation that sets the defaults of these fields of a model in the database."""

    def set_defaults(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        options = apps.get_model("waldur_chat", model)._meta
        for field in map(options.get_field, fields):
            table, column = map(schema_editor.quote_name, (options.db_table, field.column))
            value = schema_editor.quote_value(field.default)
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}")

    return migrations.RunPython(set_defaults, migrations.RunPython.noop)
