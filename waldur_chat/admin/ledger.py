"""The ledger of usage: the list of its rows, and the usage page, whose data `usage_page` makes."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from waldur_chat.admin import usage_page
from waldur_chat.admin.base import ReadOnlyAdmin


class LedgerAdmin(ReadOnlyAdmin):
    """Rows of the ledger, and their sums by day, user and model."""

    list_display = ("day", "user", "model", "turns", "input_tokens", "output_tokens")
    list_filter = ("day",)
    list_select_related = ("user",)
    ordering = ("-day",)
    search_fields = ("model",)
    sortable_by = ("day",)
    user_field = "user"
    fields = ("day", "user", "model", "turns", "input_tokens", "output_tokens")

    def get_urls(self) -> list[URLPattern]:
        return [path("usage/", self.admin_site.admin_view(self.usage), name="waldur_chat_usage"), *super().get_urls()]

    def usage(self, request: HttpRequest) -> HttpResponse:
        """Show the sums to users who may view the rows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found = usage_page.context(request.GET)
        except (ValueError, ValidationError) as error:  # The query has an invalid user ID.
            raise Http404 from error
        request.current_app = self.admin_site.name  # For links of the page, as Django's own views do.
        site = self.admin_site.each_context(request)
        context = {**site, **found, "title": _("Usage"), "opts": self.opts}
        return TemplateResponse(request, "admin/waldur_chat/usage.html", context)
