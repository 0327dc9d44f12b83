"""Serializers of quotas (contract section 2)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from waldur_chat.api.serializers.fields import TimeField, UUIDField

BIGGEST = 2**63 - 1
_LIMIT = _("Tokens. Null uses the system's default; -1 means unlimited.")


def _shown(period: str, reset: Any) -> dict[str, Any]:
    return {
        f"{period}_limit": serializers.IntegerField(source=f"{period}.limit", allow_null=True, help_text=_LIMIT),
        f"{period}_usage": serializers.IntegerField(
            source=f"{period}.used", help_text=_("Tokens that were used in this period.")
        ),
        f"{period}_remaining": serializers.IntegerField(
            source=f"{period}.remaining",
            allow_null=True,
            help_text=_("Tokens that are left, without those that running answers may need. Null means unlimited."),
        ),
        f"{period}_reset_at": TimeField(source=f"{period}.reset_at", help_text=reset),
        f"{period}_system_default": serializers.IntegerField(
            source=f"{period}.default",
            help_text=_("The limit of users who have none of their own; -1 means unlimited."),
        ),
    }


class TokenQuotaUsageResponseSerializer(serializers.Serializer[Any]):
    """What a user may use, has used, and has left."""

    def get_fields(self) -> dict[str, Any]:
        return {
            **_shown("daily", _("The next midnight.")),
            **_shown("weekly", _("The next Monday.")),
            **_shown("monthly", _("The first of the next month.")),
        }


def _set(help_text: Any) -> Any:
    return serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=BIGGEST, help_text=help_text
    )


class SetTokenQuotaSerializer(serializers.Serializer[Any]):
    """Limits for a user. What is left out stays as it is."""

    user_uuid = UUIDField(help_text=_("UUID of the user to set quota for."))
    daily_limit = _set(_("Daily token limit. Null = system default, -1 = unlimited. Omit to leave it."))
    weekly_limit = _set(_("Weekly token limit. Null = system default, -1 = unlimited. Omit to leave it."))
    monthly_limit = _set(_("Monthly token limit. Null = system default, -1 = unlimited. Omit to leave it."))
