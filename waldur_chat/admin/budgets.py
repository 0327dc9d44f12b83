"""Limits of users and of the site, which can be changed, and their usage, which is read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import ChatModelAdmin
from waldur_chat.models import Budget
from waldur_chat.store.budgets import accounts

LIMITS = ("daily_limit", "weekly_limit", "monthly_limit")
USED = ("used_today", "used_this_week", "used_this_month")


class BudgetAdmin(ChatModelAdmin):
    """Budgets. Saves the limits only: running turns write to the other columns at the same time."""

    list_display = ("__str__", *LIMITS, *USED)
    list_select_related = ("user",)
    ordering = ("-id",)
    sortable_by = ()
    user_field = "user"
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("user", *LIMITS, *USED, "reserved") if obj else ("user", *LIMITS)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("user", *USED, "reserved") if obj else ()

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        obj.save(update_fields=LIMITS if change else None)

    @admin.display(description=_("used today"))
    def used_today(self, budget: Budget) -> int:
        """Tokens since midnight."""
        return _used(budget)["daily"]

    @admin.display(description=_("used this week"))
    def used_this_week(self, budget: Budget) -> int:
        """Tokens since Monday."""
        return _used(budget)["weekly"]

    @admin.display(description=_("used this month"))
    def used_this_month(self, budget: Budget) -> int:
        """Tokens since the first."""
        return _used(budget)["monthly"]


def _used(budget: Budget) -> dict[str, int]:
    return accounts.used_in(budget, timezone.now())
