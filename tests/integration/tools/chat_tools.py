"""Tools of an app, written as functions and classes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from waldur_chat.tools import Tool, ToolContext, ToolResult, tool


class Size(Enum):
    """Of a machine."""

    SMALL = "small"
    LARGE = "large"


@tool(safe=True)
def quote(
    context: ToolContext,
    size: Size,
    hours: int = 1,
    since: date | None = None,
    colours: list[Literal["red", "blue"]] | None = None,
    rate: Annotated[Decimal, "For an hour."] = Decimal("0.5"),
) -> dict[str, Any]:
    """Say what a machine costs.

    Args:
        size: How large it is.
        hours (int): For how long.
    """
    since = since or date(2026, 1, 1)
    return {"user": context.user.username, "size": size.name, "cost": hours * rate, "since": since, "colours": colours}


@tool(name="whoami", roles="staff", approval="never", outward=True, seconds=5)
async def tell(context: ToolContext) -> str:
    """Say who asks.

    :param context: Not offered.
    """
    return f"You are {context.user.username}."


@tool
def fail(kind: str, ids: list[UUID]) -> None:
    """Fail."""
    raise FAILURES[kind]


class Board(Tool):
    """Shows a block on the page."""

    name = "show_board"
    description = "Show a board."
    is_safe = True

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        links = [{"label": "a", "url": "javascript:alert(1)"}, {"label": "b", "url": "/b/"}]
        return ToolResult(summary="Here it is.", ui_component="homeport_nav", ui_data={"links": links})


FAILURES: dict[str, Exception] = {}
