"""Admin pages: read conversations and audit entries, change prompts and limits, view usage.

Only Django's autodiscovery imports this, where the admin is installed.
"""

from waldur_chat.admin.audit import AuditEntryAdmin
from waldur_chat.admin.budgets import BudgetAdmin
from waldur_chat.admin.conversations import MessageAdmin, ThreadAdmin
from waldur_chat.admin.ledger import LedgerAdmin
from waldur_chat.admin.prompts import SystemPromptAdmin

__all__ = ["AuditEntryAdmin", "BudgetAdmin", "LedgerAdmin", "MessageAdmin", "SystemPromptAdmin", "ThreadAdmin"]
