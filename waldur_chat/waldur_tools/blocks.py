"""What Waldur's page draws: links to offerings, and a table of resources that it fetches itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any

from django.conf import settings

from waldur_chat.conf import constance
from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.results import ToolResult

STATES = ("Creating", "OK", "Erred", "Updating", "Terminating", "Terminated")
OFFERING_PATH = "/marketplace-public-offering/{uuid}/"
EXCERPT_LENGTH = 200
UUID = {"type": "string", "format": "uuid"}


def offering_links(data: Any) -> tuple[str, Mapping[str, Any]]:
    """Links to the offerings that were found, for the block `homeport_nav`."""
    rows = data.get("rows", ()) if isinstance(data, Mapping) else ()
    links = list(_links(rows, homeport_url()))
    return ("homeport_nav", {"links": links, "content": f"Offerings: {len(links)}"}) if links else ("", {})


def homeport_url() -> str:
    """The address of Waldur's page; empty if the host does not say, so that links are relative to it."""
    if "HOMEPORT_URL" in getattr(settings, "CONSTANCE_CONFIG", {}):
        return str(constance.host_value("HOMEPORT_URL") or "").rstrip("/")
    return str(getattr(settings, "WALDUR_CORE", {}).get("HOMEPORT_URL") or "").rstrip("/")


def _links(rows: Iterable[Mapping[str, Any]], base: str) -> Iterable[dict[str, Any]]:
    for row in rows:
        if row.get("uuid"):
            yield {
                "label": str(row.get("name") or row["uuid"]),
                "url": base + OFFERING_PATH.format(uuid=row["uuid"]),
                "variant": "primary",
                "subtitle": str(row.get("customer_name") or ""),
                "description_excerpt": _plain(str(row.get("description") or ""))[:EXCERPT_LENGTH],
            }


def _plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


class DisplayUserResources(Tool):
    """Shows the block `resource_list`: Waldur's page fetches the rows, as its user."""

    name = "display_user_resources"
    description = (
        "Show the user a table of their resources on the page, of one project, organization, category or state; "
        "without states those that are not terminated. You do not get the rows: list_resources tells you about them."
    )
    schema = {
        "type": "object",
        "properties": {
            "project_uuid": UUID,
            "customer_uuid": UUID,
            "category_uuid": UUID,
            "state": {"type": "array", "items": {"type": "string", "enum": list(STATES)}},
        },
        "required": [],
        "additionalProperties": False,
    }
    is_safe = True
    trusted = True

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """Show the table. Nothing is read here."""
        return ToolResult(summary="The list is shown.", ui_component="resource_list", ui_data=arguments)
