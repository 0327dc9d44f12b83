"""The checks of the default database: what it can do, where the tables are, and tenants' schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections, router

from waldur_chat.checks.severity import problem
from waldur_chat.store import support

WITHOUT_STORAGE = (
    "Until then questions are answered by 409 chat_not_configured, unless STORAGE is False and no tokens are limited."
)


@register(Tags.compatibility)
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W011. Only a warning, since the rest of the site works, and the chat too if it stores and limits nothing."""
    default = connections[DEFAULT_DB_ALIAS]
    if support.is_supported():
        return []
    message = f"The default database ({default.vendor}) cannot hold what must be unique under a condition."
    hint = f"Use PostgreSQL or SQLite: elsewhere two answers could take the same place. {WITHOUT_STORAGE}"
    return [Warning(message, hint=hint, id="waldur_chat.W011")]


@register(Tags.compatibility)
def check_tenants(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W020. Hosts with a PostgreSQL schema for each tenant (`runtime.tenants`)."""
    message, hint = support.tenant_problem()
    return [Warning(message, hint=hint or WITHOUT_STORAGE, id="waldur_chat.W020")] if message else []


@register(Tags.compatibility)
def check_routers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E012. All tables of the app are in the default database, since one transaction writes several of them."""
    models = apps.get_app_config("waldur_chat").get_models()
    names = [model.__name__ for model in models if router.db_for_write(model) != DEFAULT_DB_ALIAS]
    if not names:
        return []
    message = f"DATABASE_ROUTERS puts tables of waldur_chat into another database: {', '.join(names)}."
    return [problem(message, f"Let db_for_write() give {DEFAULT_DB_ALIAS!r} or None for this app.", "E012")]
