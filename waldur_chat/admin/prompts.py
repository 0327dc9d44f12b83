"""System prompts: edit them, and choose the active one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from waldur_chat.admin.base import AnyModelAdmin
from waldur_chat.models import SystemPrompt, SystemPromptVersion
from waldur_chat.store.conversations import system_prompts

if TYPE_CHECKING:
    AnyInline = admin.TabularInline[Any, Any]
else:
    AnyInline = admin.TabularInline


class VersionInline(AnyInline):
    """Earlier versions of the instructions, read-only."""

    model = SystemPromptVersion
    fields = readonly_fields = ("number", "custom_instructions", "author", "created")
    ordering = ("-number",)
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[SystemPromptVersion]:
        versions = super().get_queryset(request)
        shown: QuerySet[SystemPromptVersion] = versions.select_related("author", "prompt")
        return shown

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Allow it: users who may view the prompt may view its versions."""
        return True


class SystemPromptAdmin(AnyModelAdmin):
    """System prompts. Each change of the instructions is stored as a version."""

    list_display = ("name", "is_active", "created", "modified")
    search_fields = ("name", "description", "custom_instructions")
    ordering = ("name", "id")
    fields = ("name", "description", "custom_instructions", "is_active")
    readonly_fields = ("is_active",)
    actions = ("activate", "deactivate")

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> Any:
        return (VersionInline,) if obj else ()

    def save_model(self, request: HttpRequest, obj: SystemPrompt, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        saved = (
            system_prompts.change(obj, request.user, **values)
            if change
            else system_prompts.create(request.user, **values)
        )
        obj.pk = saved.pk

    @admin.action(description=_("Make the selected system prompt the active one"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[SystemPrompt]) -> None:
        """Activate the selected prompt, and deactivate the others."""
        chosen = list(queryset[:2])
        if len(chosen) == 1:
            system_prompts.activate(chosen[0])
            self.message_user(request, _("%s is active now.") % chosen[0], messages.SUCCESS)
        else:
            self.message_user(request, _("Only one system prompt can be active. Select one."), messages.ERROR)

    @admin.action(description=_("Deactivate the selected system prompts"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[SystemPrompt]) -> None:
        """Deactivate the selected prompts."""
        for prompt in queryset:
            system_prompts.deactivate(prompt)
