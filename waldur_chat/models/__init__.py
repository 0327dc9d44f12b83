"""Tables. Models hold fields, constraints and their names; operations on them are in `store`."""

from waldur_chat.models.budgets import Budget, DayOfUsage, TokenRatio
from waldur_chat.models.conversations import Message, Session, Thread
from waldur_chat.models.pinned_tools import PinnedTool
from waldur_chat.models.prompts import SystemPrompt, SystemPromptVersion
from waldur_chat.models.readings import Reading
from waldur_chat.models.request_rates import MinuteOfRequests
from waldur_chat.models.seats import Seat
from waldur_chat.models.tool_calls import ToolCall, ToolTrace
from waldur_chat.models.turns import Piece, Turn

__all__ = [
    "Budget",
    "DayOfUsage",
    "Message",
    "MinuteOfRequests",
    "Piece",
    "PinnedTool",
    "Reading",
    "Seat",
    "Session",
    "SystemPrompt",
    "SystemPromptVersion",
    "Thread",
    "TokenRatio",
    "ToolCall",
    "ToolTrace",
    "Turn",
]
