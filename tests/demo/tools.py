"""A tool that is no view."""

from __future__ import annotations

from django.urls import reverse

from waldur_chat.tools import ToolContext, ToolResult, tool


@tool(safe=True, trusted=True)
def show_links(context: ToolContext) -> ToolResult:
    """Show links to the other pages of this site."""
    links = [{"label": "Documentation of the API", "url": reverse("docs"), "variant": "primary"}]
    if context.user.is_staff:
        links.append({"label": "Admin", "url": reverse("admin:index"), "subtitle": "For staff"})
    return ToolResult(summary="The links are shown.", ui_component="homeport_nav", ui_data={"links": links})
