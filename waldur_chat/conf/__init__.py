"""The settings of the chat. `conf.load()` returns their current values, typed and validated."""

from waldur_chat.conf.notice import active_language, notice_text
from waldur_chat.conf.provider_specs import (
    OFFLINE,
    OPENAI,
    ProviderSpec,
    environment_problem,
    fallback_chain,
    provider_specs,
)
from waldur_chat.conf.settings import (
    BUSY_THREAD,
    IN_CONSTANCE,
    NAMES,
    ROLES,
    STREAM_FORMATS,
    Settings,
    host_settings,
    is_callable,
    load,
    problems,
    site_settings,
    site_value,
)

__all__ = [
    "BUSY_THREAD",
    "IN_CONSTANCE",
    "NAMES",
    "OFFLINE",
    "OPENAI",
    "ROLES",
    "STREAM_FORMATS",
    "ProviderSpec",
    "Settings",
    "active_language",
    "environment_problem",
    "fallback_chain",
    "host_settings",
    "is_callable",
    "load",
    "notice_text",
    "problems",
    "provider_specs",
    "site_settings",
    "site_value",
]
