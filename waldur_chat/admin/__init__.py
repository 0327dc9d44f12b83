"""Admin pages: read conversations and audit entries, change prompts and limits, view usage.

Only Django's autodiscovery imports this, where the admin is installed. It registers the pages on the site that
`django.contrib.admin.site` is by then: `@admin.register` would use Django's own, which nobody sees where a host, such
as Waldur, has put a site of its own in its place. `register()` adds them to any other site.
"""

from django.contrib import admin

from waldur_chat.admin.audit import AuditEntryAdmin
from waldur_chat.admin.budgets import BudgetAdmin
from waldur_chat.admin.conversations import MessageAdmin, ThreadAdmin, ToolCallAdmin
from waldur_chat.admin.ledger import LedgerAdmin
from waldur_chat.admin.pinned_tools import PinnedToolAdmin
from waldur_chat.admin.prompts import SystemPromptAdmin
from waldur_chat.models import Budget, DayOfUsage, Message, PinnedTool, Reading, SystemPrompt, Thread, ToolCall

__all__ = [
    "AuditEntryAdmin",
    "BudgetAdmin",
    "LedgerAdmin",
    "MessageAdmin",
    "PinnedToolAdmin",
    "SystemPromptAdmin",
    "ThreadAdmin",
    "ToolCallAdmin",
    "register",
]

PAGES = {
    Thread: ThreadAdmin,
    Message: MessageAdmin,
    ToolCall: ToolCallAdmin,
    PinnedTool: PinnedToolAdmin,
    SystemPrompt: SystemPromptAdmin,
    Budget: BudgetAdmin,
    DayOfUsage: LedgerAdmin,
    Reading: AuditEntryAdmin,
}


def register(site: admin.AdminSite) -> None:
    """Register our pages on an admin site, except those for which it has pages already."""
    for model, page in PAGES.items():
        if not site.is_registered(model):
            site.register(model, page)


register(admin.site)
