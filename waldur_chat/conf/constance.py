"""What a Waldur host keeps in django-constance about its chat, translated into our settings.

Two generations of names exist: `AI_ASSISTANT_*`, and before it `LLM_CHAT_ENABLED` with `LLM_INFERENCES_*`
(contract section 4). A host has the names that stand in its `CONSTANCE_CONFIG`; a host without constance has none.
Tried with django-constance 2.9 to 4.4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS

NAMES = (
    "AI_ASSISTANT_ENABLED",
    "AI_ASSISTANT_ENABLED_ROLES",
    "AI_ASSISTANT_API_URL",
    "AI_ASSISTANT_API_TOKEN",
    "AI_ASSISTANT_MODEL",
    "AI_ASSISTANT_COMPLETION_KWARGS",
    "AI_ASSISTANT_STREAM_TIMEOUT_SECONDS",
    "AI_ASSISTANT_NAME",
    "AI_ASSISTANT_HISTORY_LIMIT",
    "AI_ASSISTANT_SESSION_RETENTION_DAYS",
    "AI_ASSISTANT_TOKEN_LIMIT_DAILY",
    "AI_ASSISTANT_TOKEN_LIMIT_WEEKLY",
    "AI_ASSISTANT_TOKEN_LIMIT_MONTHLY",
    "AI_ASSISTANT_GLOBAL_DAILY_TOKEN_BUDGET",
    "SITE_NAME",
    "LLM_CHAT_ENABLED",
    "LLM_INFERENCES_API_URL",
    "LLM_INFERENCES_API_TOKEN",
)

_NUMBERS = {
    "AI_ASSISTANT_HISTORY_LIMIT": "HISTORY_MESSAGES",
    "AI_ASSISTANT_SESSION_RETENTION_DAYS": "RETENTION_DAYS",
    "AI_ASSISTANT_TOKEN_LIMIT_DAILY": "USER_TOKENS_DAILY",
    "AI_ASSISTANT_TOKEN_LIMIT_WEEKLY": "USER_TOKENS_WEEKLY",
    "AI_ASSISTANT_TOKEN_LIMIT_MONTHLY": "USER_TOKENS_MONTHLY",
    "AI_ASSISTANT_GLOBAL_DAILY_TOKEN_BUDGET": "SITE_TOKENS_DAILY",
}
_TEXTS = {"AI_ASSISTANT_NAME": "ASSISTANT_NAME", "SITE_NAME": "ORGANIZATION"}


def read() -> dict[str, Any]:
    """The host's values in the shape of `WALDUR_CHAT`, with one read; empty where the host has none of the names.

    `PROVIDERS` is empty where the host has a name for an address, but no address. Blocks: call it in a thread, not on
    an event loop. Raises `ImproperlyConfigured` where constance cannot be read.
    """
    configured = getattr(settings, "CONSTANCE_CONFIG", {})
    names = [name for name in NAMES if name in configured]
    if not set(names) - {"SITE_NAME"} or not apps.is_installed("constance"):
        return {}
    try:
        defaults = {name: configured[name][0] for name in names}
        stored = _stored(names)
    except Exception as error:  # Redis, a codec, or a pickle of an earlier release may raise whatever they like.
        raise ImproperlyConfigured(f"constance cannot be read: {type(error).__name__}: {error}") from error
    # To `config.NAME` a stored None is missing too.
    return _translate({**defaults, **{name: value for name, value in stored.items() if value is not None}})


def _stored(names: Sequence[str]) -> Mapping[str, Any]:
    """What was stored under these names, without a write.

    `config.NAME` would write down the default of each name that is missing
    (https://github.com/jazzband/django-constance/issues/348), and on an event loop 4.3 and newer return an awaitable.
    """
    from constance import settings as constance_settings
    from constance import utils

    try:
        # Public since 4.2 (https://github.com/jazzband/django-constance/pull/607). Before, all backends have mget(),
        # but nothing public leads to it; this branch may go with the support of releases before 4.2.
        if hasattr(utils, "get_values_for_keys"):
            return dict(utils.get_values_for_keys(names))
        return dict(backend_at(constance_settings.BACKEND).mget(names))
    except NotImplementedError:  # A backend of the host's own may have nothing but get() and set().
        backend = backend_at(constance_settings.BACKEND)
        return {name: backend.get(name) for name in names}


@cache
def backend_at(path: str) -> Any:
    """The host's backend, one in a process like constance's own: it may hold a connection to Redis."""
    return import_string(path)()


def _translate(values: Mapping[str, Any]) -> dict[str, Any]:
    translated: dict[str, Any] = {}
    switch = values.get("AI_ASSISTANT_ENABLED", values.get("LLM_CHAT_ENABLED"))
    if switch is not None:
        translated["ENABLED"] = switch
    if roles := values.get("AI_ASSISTANT_ENABLED_ROLES"):
        translated["ENABLED_ROLES"] = roles
    translated.update({ours: values[theirs] for theirs, ours in _NUMBERS.items() if values.get(theirs) is not None})
    translated.update({ours: values[theirs] for theirs, ours in _TEXTS.items() if values.get(theirs)})
    if not translated.get("RETENTION_DAYS", 1):  # Waldur's 0 keeps everything.
        translated["RETENTION_DAYS"] = None
    if seconds := values.get("AI_ASSISTANT_STREAM_TIMEOUT_SECONDS"):
        translated["TURN_SECONDS"] = seconds
    if "AI_ASSISTANT_API_URL" in values or "LLM_INFERENCES_API_URL" in values:
        translated["PROVIDERS"] = _providers(values)
    return translated


def _providers(values: Mapping[str, Any]) -> dict[str, Any]:
    if url := values.get("AI_ASSISTANT_API_URL"):
        options = {
            "base_url": url,
            "api_key": values.get("AI_ASSISTANT_API_TOKEN") or "",
            **_completion(values.get("AI_ASSISTANT_COMPLETION_KWARGS")),
        }
        if model := values.get("AI_ASSISTANT_MODEL"):
            options["model"] = model
        return {"default": {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": options}}
    if url := values.get("LLM_INFERENCES_API_URL"):
        options = {"url": url, "token": values.get("LLM_INFERENCES_API_TOKEN") or ""}
        return {"default": {"BACKEND": "waldur_chat.providers.langserve.LangServeProvider", "OPTIONS": options}}
    return {}


def _completion(value: object) -> dict[str, Any]:
    """The host keeps completion options as an object or as its JSON.

    What is neither counts as none, and options that are not allowed are left out: staff change them while the site
    runs, and a chat without one of them is better than none.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            value = None
    given = value if isinstance(value, Mapping) else {}
    allowed = {name: given[name] for name in given if name in COMPLETION_OPTIONS | FURTHER_COMPLETION_OPTIONS}
    limit = given.get("max_completion_tokens") or given.get("max_tokens")
    return {"completion": allowed, **({"max_output_tokens": limit} if limit else {})}
