"""Tools: what the model may do in the host, for the user who asks.

A site names views in `WALDUR_CHAT["TOOLS"]`, or writes tools in the `chat_tools.py` of its apps (docs/tools.md).
"""

from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.functions.declared import tool
from waldur_chat.tools.results import ToolResult

__all__ = ["Tool", "ToolContext", "ToolResult", "tool"]
