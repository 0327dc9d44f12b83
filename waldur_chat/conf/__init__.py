"""The settings of the chat: `conf.load()` gives them, typed, as they are at that moment."""

from waldur_chat.conf.settings import (
    BUSY_THREAD,
    NAMES,
    OFFLINE,
    OPENAI,
    ROLES,
    STREAM_FORMATS,
    ProviderSpec,
    Settings,
    chain,
    load,
    problems,
    provider_specs,
    site_settings,
    site_value,
)

__all__ = [
    "BUSY_THREAD",
    "NAMES",
    "OFFLINE",
    "OPENAI",
    "ROLES",
    "STREAM_FORMATS",
    "ProviderSpec",
    "Settings",
    "chain",
    "load",
    "problems",
    "provider_specs",
    "site_settings",
    "site_value",
]
