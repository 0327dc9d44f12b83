"""The checks of tools: what is wrong with one leaves it out, and nothing else of the site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf
from waldur_chat.api.request import auth
from waldur_chat.checks.severity import problem
from waldur_chat.tools import registry
from waldur_chat.tools.declarations import SETTING
from waldur_chat.tools.request.credentials import is_repeatable
from waldur_chat.tools.views.view_tool import ViewTool

PAGE = "The tool is left out. docs/tools.md says how tools are declared."


@register(Tags.compatibility)
def check_tool_entries(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E023. The shape, keys and values of `WALDUR_CHAT["TOOLS"]`."""
    return _problems("E023")


@register(Tags.urls)
def check_tool_views(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E024. The views of tools are there, and take their methods."""
    return _problems("E024")


@register(Tags.compatibility)
def check_tool_schemas(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E025. The arguments of tools have a schema."""
    return _problems("E025")


@register(Tags.compatibility)
def check_tool_names(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E026. The names of tools are such that services accept, each for one tool."""
    return _problems("E026")


@register(Tags.security)
def check_own_views(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E027. The chat's own views are no tools: a model could ask itself, approve, or read what was erased."""
    return _problems("E027")


@register(Tags.compatibility)
def check_tool_answers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E028. The views of tools take and give JSON."""
    return _problems("E028")


@register(Tags.security)
def check_approvals(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W029. Views that a model can let change something, and nobody is asked."""
    hint = "Without APPROVAL the user is asked for each call."
    return [
        Warning(
            f"{SETTING}[{tool.name!r}]: a {tool.method} of {tool.view!r} needs no approval.",
            hint=hint,
            id="waldur_chat.W029",
        )
        for tool in _view_tools()
        if tool.approval == "never" and not tool.is_safe
    ]


@register(Tags.compatibility)
def check_tool_imports(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E030. Backends of tools, and the `chat_tools.py` of the apps, can be imported and created."""
    return _problems("E030")


@register(Tags.security)
def check_tool_authentication(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W031. Authenticators that cannot be asked again for a call of a tool."""
    others = [kind for kind in auth.authentication_classes() if not is_repeatable(kind)]
    if not others or not any(_view_tools()) or _has_own_way():
        return []
    hint = 'Give WALDUR_CHAT["TOOL_AUTHENTICATION"] a function that makes the headers; see docs/tools.md.'
    return [
        Warning(
            f"{kind.__name__} cannot authenticate a user again, who is then set on the views that have it: what it "
            "does beside (a record of the use, a check of the address) is not done for tools.",
            hint=hint,
            id="waldur_chat.W031",
        )
        for kind in others
    ]


@register(Tags.security, deploy=True)
def check_mcp_addresses(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W036. Credentials for MCP servers over plain HTTP."""
    hint = "Use an address that begins with https://."
    return [
        Warning(
            f"{SETTING}[{server.name!r}]['MCP']: its headers would cross the network in clear text.",
            hint=hint,
            id="waldur_chat.W036",
        )
        for server in registry.examine().servers
        if server.sends_credentials and not server.is_encrypted
    ]


@register(Tags.urls)
def check_optional_views(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W035. Optional views of tools that this release of the host lacks: one warning for all of them."""
    lacking = [one.place for one in registry.examine().problems if one.check == "W035"]
    if not lacking:
        return []
    names = ", ".join(place.removeprefix(SETTING).strip("[]'") for place in lacking)
    return [
        Warning(
            f"{SETTING}: optional tools are left out, whose views the site does not have: {names}.",
            hint="A site need not have them. manage.py chat_tools says what is missing of each.",
            id="waldur_chat.W035",
        )
    ]


@register(Tags.urls)
def check_tool_names_in_views(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W037. Fields, arguments and filters that the documentation of the view does not have."""
    hint = "Correct the name, or document it on the view with extend_schema()."
    return [
        Warning(
            f"{SETTING}[{tool.name!r}][{key!r}]: {tool.view!r} has no {', '.join(map(repr, names))}.",
            hint=hint,
            id="waldur_chat.W037",
        )
        for tool in _view_tools()
        if not tool.is_optional
        for key, names in tool.unknown_names().items()
    ]


def _problems(code: str) -> list[CheckMessage]:
    return [problem(str(one), PAGE, code) for one in registry.examine().problems if one.check == code]


def _view_tools() -> list[ViewTool]:
    return [tool for tool in registry.examine().tools.values() if isinstance(tool, ViewTool)]


def _has_own_way() -> bool:
    """Whether the site makes the headers itself. An invalid value is E001's."""
    try:
        return bool(conf.site_value("TOOL_AUTHENTICATION"))
    except ImproperlyConfigured:
        return True
