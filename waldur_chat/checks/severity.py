"""How severe a fault of the settings is."""

from __future__ import annotations

import sys

from django.core.checks import CheckMessage, Error, Warning


def problem(message: str, hint: str, code: str) -> CheckMessage:
    """An error, which stops commands; in Waldur a warning, since a plugin must not stop the commands of its host."""
    # Only Waldur imports the extension, through its entry point.
    severity = Warning if "waldur_chat.extension" in sys.modules else Error
    return severity(message, hint=hint, id=f"waldur_chat.{code}")
