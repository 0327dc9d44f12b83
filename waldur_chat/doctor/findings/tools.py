"""What is wrong with the MCP servers of the site. Words in braces are filled in from its settings."""

from waldur_chat.doctor.findings.kinds import FindingKind

TOOL_KINDS = (
    FindingKind(
        id="mcp_server_fails",
        cause="The MCP server does not answer, or refuses to list its tools.",
        cure='WALDUR_CHAT["TOOLS"]["{name}"]["MCP"]: a url that this machine reaches, and headers that it accepts',
    ),
    FindingKind(
        id="mcp_tools_wait",
        cause="Tools of the MCP server are new or have changed, so that models do not get them.",
        cure="manage.py chat_tools --accept {name}",
    ),
)
