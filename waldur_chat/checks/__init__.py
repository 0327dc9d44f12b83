"""The checks of `manage.py check`. One check, one function, one id.

None queries the database or the network, except W013 on hosts with django-constance: it reads constance once.

waldur_chat.E001  WALDUR_CHAT is not a dict, or has an unknown setting or an invalid value
waldur_chat.E002  a provider cannot be created from the settings
waldur_chat.E003  no user can authenticate with a token
waldur_chat.W004  no URL leads to the API
waldur_chat.W005  the Waldur plugin could not register its URLs
waldur_chat.E006  the rate of a throttle scope cannot be read
waldur_chat.W007  a time limit never takes effect, since another one is shorter
waldur_chat.E012  a database router writes tables of the app to another database than the default one
waldur_chat.W011  the default database cannot store turns
waldur_chat.W013  the host's django-constance cannot be read, or has an invalid value
waldur_chat.W014  a shortcut is off, since a library has changed
waldur_chat.W015  the environment keeps the HTTP client of a provider from being made
waldur_chat.W016  a limit of tokens is so small that no question fits
waldur_chat.W020  tenants have schemas in which turns cannot be stored, or which have their users only
waldur_chat.W021  no user can be authenticated
waldur_chat.W022  the environment names a model without an address, or an address without a model
waldur_chat.E023  TOOLS is not a dict, or an entry of it has a wrong key or value
waldur_chat.E024  there is no view for a tool, or it does not take the method
waldur_chat.E025  the arguments of a tool have no schema
waldur_chat.E026  the name of a tool is used twice, or cannot be one
waldur_chat.E027  a tool is a view of the chat itself
waldur_chat.E028  the view of a tool takes or gives something else than JSON
waldur_chat.W029  a tool changes something, and the user is not asked
waldur_chat.E030  a tool, or the chat_tools.py of an app, cannot be imported or created
waldur_chat.W031  users of an authenticator cannot be authenticated again for tools
waldur_chat.E032  the callable of CONTEXT cannot be imported, or is none
waldur_chat.W035  the site lacks optional views of tools
waldur_chat.W037  a tool names fields, arguments or filters that its view does not document
waldur_chat.E040  metrics are on, and prometheus_client is not installed
waldur_chat.W041  PROMETHEUS_MULTIPROC_DIR is no directory that can be written

With `--deploy`:

waldur_chat.W008  the offline provider would answer in production
waldur_chat.W009  a key would be sent unencrypted
waldur_chat.W010  throttle rates are counted in a cache that processes do not share
waldur_chat.W036  headers for an MCP server would be sent unencrypted
"""

from __future__ import annotations

from waldur_chat.checks.database import check_database, check_routers, check_tenants
from waldur_chat.checks.hosts import check_authenticators, check_context, check_model_variables
from waldur_chat.checks.metrics import check_metrics, check_metrics_directory
from waldur_chat.checks.settings import (
    SHORTER,
    check_addresses,
    check_authentication,
    check_budgets,
    check_cache,
    check_constance,
    check_environment,
    check_limits,
    check_offline,
    check_providers,
    check_rates,
    check_settings,
    check_shortcuts,
)
from waldur_chat.checks.tools import (
    check_approvals,
    check_mcp_addresses,
    check_optional_views,
    check_own_views,
    check_tool_answers,
    check_tool_authentication,
    check_tool_entries,
    check_tool_imports,
    check_tool_names,
    check_tool_names_in_views,
    check_tool_schemas,
    check_tool_views,
)
from waldur_chat.checks.urls import check_urls

__all__ = [
    "SHORTER",
    "check_addresses",
    "check_approvals",
    "check_authentication",
    "check_authenticators",
    "check_budgets",
    "check_cache",
    "check_constance",
    "check_context",
    "check_database",
    "check_environment",
    "check_limits",
    "check_mcp_addresses",
    "check_metrics",
    "check_metrics_directory",
    "check_model_variables",
    "check_offline",
    "check_optional_views",
    "check_own_views",
    "check_providers",
    "check_rates",
    "check_routers",
    "check_settings",
    "check_shortcuts",
    "check_tenants",
    "check_tool_answers",
    "check_tool_authentication",
    "check_tool_entries",
    "check_tool_imports",
    "check_tool_names",
    "check_tool_names_in_views",
    "check_tool_schemas",
    "check_tool_views",
    "check_urls",
]
