"""The admin site: conversations to read, prompts and limits to change, usage to look at.

Django imports this where its admin is installed; nothing else does.
"""

from waldur_chat.admin.audit import ReadingAdmin
from waldur_chat.admin.budgets import BudgetAdmin
from waldur_chat.admin.conversations import MessageAdmin, ThreadAdmin
from waldur_chat.admin.ledger import LedgerAdmin
from waldur_chat.admin.prompts import SystemPromptAdmin

__all__ = ["BudgetAdmin", "LedgerAdmin", "MessageAdmin", "ReadingAdmin", "SystemPromptAdmin", "ThreadAdmin"]
