"""The audit trail, read-only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import ReadOnlyAdmin
from waldur_chat.models import Reading


class AuditEntryAdmin(ReadOnlyAdmin):
    """Which staff or support user read whose conversation, or asked as whom."""

    list_display = ("read", "reader", "act", "owner", "thread_on_the_wire", "place")
    list_filter = ("act", "place", "read")
    list_select_related = ("reader", "owner")
    ordering = ("-read",)
    sortable_by = ("read",)
    uuid_field = "thread"
    user_field = "reader"
    fields = ("read", "reader", "act", "owner", "thread_on_the_wire", "place")

    @admin.display(description=_("thread"))
    def thread_on_the_wire(self, entry: Reading) -> str:
        """The UUID of the thread in the format of the API."""
        return entry.thread.hex
