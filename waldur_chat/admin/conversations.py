"""Conversations, read-only. Each view of the text of another user's conversation writes an audit entry.

Lists show names, but no text of messages: searching a conversation must not disclose it.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import ReadOnlyAdmin
from waldur_chat.models import Message, Thread, ToolCall
from waldur_chat.store.conversations import audit

MESSAGES_ON_A_PAGE = 100


class ConversationAdmin(ReadOnlyAdmin):
    """Base of the pages that show the text of conversations."""

    class Media:
        """The stylesheet of the text."""

        css = {"all": ["waldur_chat/admin.css"]}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the page; if the audit entry cannot be written, nothing is shown."""
        response = super().change_view(request, object_id, form_url, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            self.show(request, response.context_data)
        return response

    def show(self, request: HttpRequest, context: dict[str, Any]) -> None:
        """Write the audit entry for the thread or message that is `original` in the context."""
        shown = context["original"]
        audit.record(request.user, shown if isinstance(shown, Thread) else shown.thread, "admin")


class ThreadAdmin(ConversationAdmin):
    """Threads with their messages."""

    list_display = ("name", "owner", "message_count", "total_tokens", "models_used", "is_archived", "modified")
    list_filter = ("is_archived", "is_flagged", "created", "modified")
    list_select_related = ("session__user",)
    ordering = ("-modified",)
    search_fields = ("name",)
    sortable_by = ("total_tokens", "models_used", "modified")
    uuid_field = "uuid"
    user_field = "session__user"
    fields = (
        ("name", "owner", "is_archived"),
        ("created", "modified", "id_on_the_wire"),
        ("message_count", "input_tokens", "output_tokens", "models_used"),
        ("positive_feedback", "negative_feedback", "is_flagged", "max_severity"),
    )

    def show(self, request: HttpRequest, context: dict[str, Any]) -> None:
        """Write the audit entry, and add a page of the messages, including replaced versions."""
        super().show(request, context)
        messages = Message.objects.filter(thread=context["original"]).order_by("sequence_index", "pk")
        context["page"] = Paginator(messages, MESSAGES_ON_A_PAGE).get_page(request.GET.get("page"))

    @admin.display(description=_("owner"), ordering="session__user")
    def owner(self, thread: Thread) -> str:
        """The user of the conversation."""
        return str(thread.session.user)

    @admin.display(description="UUID")
    def id_on_the_wire(self, thread: Thread) -> str:
        """The UUID in the format of the API."""
        return thread.uuid.hex


class MessageAdmin(ConversationAdmin):
    """Messages of all conversations, for searching."""

    list_display = (
        "id_on_the_wire",
        "thread",
        "role",
        "sequence_index",
        "is_current",
        "status",
        "model",
        "feedback_score",
        "created",
    )
    list_filter = ("role", "status", "feedback_score", "is_flagged")
    list_select_related = ("thread",)
    ordering = ("-id",)
    search_fields = ("text",)
    sortable_by = ()
    uuid_field = "uuid"
    fields = (
        ("thread", "created", "id_on_the_wire"),
        ("role", "sequence_index", "is_current", "replaces"),
        ("status", "code"),
        "words",
        "warning",
        ("model", "input_tokens", "output_tokens"),
        ("feedback_score", "feedback_category", "feedback_submitted_at"),
        "feedback_comment",
        ("is_flagged", "severity", "action_taken"),
        ("injection_categories", "pii_categories"),
    )

    @admin.display(description="UUID")
    def id_on_the_wire(self, message: Message) -> str:
        """The UUID in the format of the API."""
        return message.uuid.hex

    @admin.display(description=_("text"))
    def words(self, message: Message) -> SafeString:
        """The text with its line breaks and spaces."""
        return format_html('<pre class="waldur-chat-text">{}</pre>', message.text)


class ToolCallAdmin(ConversationAdmin):
    """Calls of tools: what was asked for, what came of it, and who allowed it."""

    list_display = ("id_on_the_wire", "tool", "status", "user", "created", "ended", "decided_by")
    list_filter = ("status", "created")
    list_select_related = ("user", "decided_by")
    ordering = ("-id",)
    search_fields = ("tool",)
    sortable_by = ()
    uuid_field = "uuid"
    user_field = "user"
    fields = (
        ("tool", "status", "is_touched"),
        ("user", "thread", "turn", "id_on_the_wire"),
        ("created", "ended"),
        ("expires", "decided_by", "decided_at"),
        "arguments",
        "origins",
        "summary",
        "result",
        ("arguments_hash", "schema_hash"),
    )

    def show(self, request: HttpRequest, context: dict[str, Any]) -> None:
        """Write the audit entry, if the call belongs to a conversation."""
        if context["original"].thread_id:
            super().show(request, context)

    @admin.display(description="UUID")
    def id_on_the_wire(self, call: ToolCall) -> str:
        """The UUID in the format of the API."""
        return call.uuid.hex
