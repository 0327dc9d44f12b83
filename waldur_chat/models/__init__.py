"""Tables. Models hold fields, constraints and their names; operations on them are in `store`."""

from waldur_chat.models.budgets import Budget, DayOfUsage
from waldur_chat.models.conversations import Message, Session, Thread
from waldur_chat.models.prompts import SystemPrompt, SystemPromptVersion
from waldur_chat.models.readings import Reading
from waldur_chat.models.seats import Seat
from waldur_chat.models.turns import Piece, Turn

__all__ = [
    "Budget",
    "DayOfUsage",
    "Message",
    "Piece",
    "Reading",
    "Seat",
    "Session",
    "SystemPrompt",
    "SystemPromptVersion",
    "Thread",
    "Turn",
]
