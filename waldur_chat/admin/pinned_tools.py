"""Tools of MCP servers: staff see how a definition has changed, and accept it or refuse it."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import ChatModelAdmin
from waldur_chat.models import PinnedTool
from waldur_chat.store import pinned_tools
from waldur_chat.tools.mcp.definitions import pretty

CONTEXT_LINES = 1000
"""Lines around a change that are shown: all of them."""


class DecisionForm(forms.Form):
    """What staff decide, on the definition that the page has shown."""

    decision = forms.ChoiceField(
        choices=[("", _("leave it")), ("accept", _("accept the definition")), ("refuse", _("refuse the tool"))],
        required=False,
        label=_("decision"),
    )
    shown_hash = forms.CharField(widget=forms.HiddenInput, max_length=64)


class PinnedToolForm(DecisionForm, forms.ModelForm):  # type: ignore[type-arg]
    """The decision on one tool. None of its fields can be edited."""

    class Meta:
        """The row that is shown."""

        model = PinnedTool
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["shown_hash"] = self.instance.hash


class PinnedToolAdmin(ChatModelAdmin):
    """A decision holds for the definition that was on the page: if it has changed meanwhile, nothing is decided."""

    form = PinnedToolForm
    list_display = ("name", "server", "tool", "status", "is_listed", "changed")
    list_filter = ("status", "is_listed", "server")
    list_select_related = ("decided_by",)
    ordering = ("server", "name")
    search_fields = ("name", "tool")
    readonly_fields = (
        *("name", "server", "tool", "status", "is_listed"),
        *("shown_definition", "difference", "created", "changed", "decided_by", "decided_at"),
    )
    fields = (*readonly_fields, "decision", "shown_hash")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if self.has_change_permission(request, obj) else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: PinnedTool, form: Any, change: bool) -> None:
        """Decide, instead of saving the row as it was when the page was made."""
        decision, shown_hash = form.cleaned_data["decision"], form.cleaned_data["shown_hash"]
        if decision and not pinned_tools.decide(obj, shown_hash, request.user, accept=decision == "accept"):
            self.message_user(request, _("The definition has changed meanwhile. Look at it again."), messages.ERROR)

    def shown_definition(self, row: PinnedTool) -> SafeString:
        """The definition as the server gave it last; what people could not see is written as its number."""
        return _preformatted(pretty(row.definition))

    def difference(self, row: PinnedTool) -> SafeString:
        """How it differs from the accepted one."""
        before, now = pretty(row.accepted_definition), pretty(row.definition)
        lines = unified_diff(before.splitlines(), now.splitlines(), "accepted", "now", n=CONTEXT_LINES, lineterm="")
        return _preformatted("\n".join(lines) if before else "")


def _preformatted(text: str) -> SafeString:
    return format_html('<pre style="white-space: pre-wrap">{}</pre>', text or "-")
