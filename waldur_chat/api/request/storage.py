"""Check that the site stores conversations."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError

from waldur_chat import conf


def check_storage() -> None:
    """Raise `ValidationError` if `STORAGE` is off. What was stored before can still be read and erased."""
    if not conf.site_value("STORAGE"):
        raise ValidationError({"detail": _("This site stores no conversations.")})
