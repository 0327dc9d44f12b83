"""The audit trail, to be read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import ReadOnlyAdmin
from waldur_chat.models import Reading


@admin.register(Reading)
class ReadingAdmin(ReadOnlyAdmin):
    """Who of staff and support read whose conversation."""

    list_display = ("read", "reader", "owner", "thread_on_the_wire", "place")
    list_filter = ("place", "read")
    list_select_related = ("reader", "owner")
    ordering = ("-read",)
    sortable_by = ("read",)
    uuid_field = "thread"
    user_field = "reader"
    fields = ("read", "reader", "owner", "thread_on_the_wire", "place")

    @admin.display(description=_("thread"))
    def thread_on_the_wire(self, reading: Reading) -> str:
        """The thread's UUID as the API writes it."""
        return reading.thread.hex
