"""Read the chat settings of a Waldur host from django-constance, and translate them into the names of `WALDUR_CHAT`.

Two generations of names exist: `AI_ASSISTANT_*`, and before them `LLM_CHAT_ENABLED` with `LLM_INFERENCES_*` (contract
section 4). Only names in the host's `CONSTANCE_CONFIG` are read. Tested with django-constance 2.9 to 4.4.
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
    "AI_ASSISTANT_BACKEND_TYPE",
    "AI_ASSISTANT_API_URL",
    "AI_ASSISTANT_API_TOKEN",
    "AI_ASSISTANT_MODEL",
    "AI_ASSISTANT_COMPLETION_KWARGS",
    "AI_ASSISTANT_STREAM_TIMEOUT_SECONDS",
    "AI_ASSISTANT_NAME",
    "AI_ASSISTANT_SYSTEM_PROMPT_CUSTOM_INSTRUCTIONS",
    "AI_ASSISTANT_HISTORY_LIMIT",
    "AI_ASSISTANT_SESSION_RETENTION_DAYS",
    "AI_ASSISTANT_TOKEN_LIMIT_DAILY",
    "AI_ASSISTANT_TOKEN_LIMIT_WEEKLY",
    "AI_ASSISTANT_TOKEN_LIMIT_MONTHLY",
    "AI_ASSISTANT_GLOBAL_DAILY_TOKEN_BUDGET",
    "AI_ASSISTANT_GLOBAL_REQUESTS_PER_MINUTE",
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
_TEXTS = {
    "AI_ASSISTANT_NAME": "ASSISTANT_NAME",
    "AI_ASSISTANT_SYSTEM_PROMPT_CUSTOM_INSTRUCTIONS": "CUSTOM_INSTRUCTIONS",
    "SITE_NAME": "ORGANIZATION",
}
_MAX_TOKENS_FIELDS = {"openai": "max_completion_tokens", "vllm": "max_tokens", "ollama": "max_tokens"}
"""How kinds of services (`AI_ASSISTANT_BACKEND_TYPE`) call the limit of an answer; for others the address decides."""


def read() -> dict[str, Any]:
    """The host's values in the shape of `WALDUR_CHAT`, in one read; empty if the host has none of the names.

    `PROVIDERS` is empty if the host has a setting for an address, but no value. Blocks: call it in a thread, not on an
    event loop. Raises `ImproperlyConfigured` if constance cannot be read.
    """
    configured = getattr(settings, "CONSTANCE_CONFIG", {})
    names = [name for name in NAMES if name in configured]
    # Many hosts have SITE_NAME without a chat; it alone is not worth a query for each request.
    if not set(names) - {"SITE_NAME"} or not apps.is_installed("constance"):
        return {}
    try:
        defaults = {name: configured[name][0] for name in names}
        stored = _stored(names)
    except Exception as error:  # Redis, codecs and pickles of earlier releases raise any exception.
        raise ImproperlyConfigured(f"constance cannot be read: {type(error).__name__}: {error}") from error
    # `config.NAME` also returns the default for a stored None.
    return _translate({**defaults, **{name: value for name, value in stored.items() if value is not None}})


def host_value(name: str) -> Any:
    """The host's value of this name in its `CONSTANCE_CONFIG`: the stored one, or the default. Blocks, as `read()`."""
    stored = _stored([name]).get(name) if apps.is_installed("constance") else None
    return getattr(settings, "CONSTANCE_CONFIG", {})[name][0] if stored is None else stored


def _stored(names: Sequence[str]) -> Mapping[str, Any]:
    """The stored values of these names, without writing.

    `config.NAME` would store the default of each missing name
    (https://github.com/jazzband/django-constance/issues/348), and on an event loop 4.3 and newer return an awaitable.
    """
    from constance import settings as constance_settings
    from constance import utils

    try:
        # Public since 4.2 (https://github.com/jazzband/django-constance/pull/607). Before 4.2, all backends have
        # mget(), but no public function calls it; that branch can go with the support of releases before 4.2.
        if hasattr(utils, "get_values_for_keys"):
            return dict(utils.get_values_for_keys(names))
        return dict(backend_at(constance_settings.BACKEND).mget(names))
    except NotImplementedError:  # A custom backend may only have get() and set().
        backend = backend_at(constance_settings.BACKEND)
        return {name: backend.get(name) for name in names}


@cache
def backend_at(path: str) -> Any:
    """The host's backend; one per process, like constance's own, since it may hold a connection to Redis."""
    return import_string(path)()


def _translate(values: Mapping[str, Any]) -> dict[str, Any]:
    translated: dict[str, Any] = {}
    switch = values.get("AI_ASSISTANT_ENABLED", values.get("LLM_CHAT_ENABLED"))
    if switch is not None:
        translated["ENABLED"] = switch
    if roles := values.get("AI_ASSISTANT_ENABLED_ROLES"):
        translated["ENABLED_ROLES"] = roles
    translated.update(
        {name: values[host_name] for host_name, name in _NUMBERS.items() if values.get(host_name) is not None}
    )
    translated.update({name: values[host_name] for host_name, name in _TEXTS.items() if values.get(host_name)})
    if not translated.get("RETENTION_DAYS", 1):  # In Waldur, 0 means that nothing is deleted.
        translated["RETENTION_DAYS"] = None
    requests = values.get("AI_ASSISTANT_GLOBAL_REQUESTS_PER_MINUTE")
    if requests and requests != -1:
        translated["REQUESTS_PER_MINUTE"] = requests
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
        if name := _MAX_TOKENS_FIELDS.get(str(values.get("AI_ASSISTANT_BACKEND_TYPE")).lower()):
            options["max_tokens_field"] = name
        return {"default": {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": options}}
    if url := values.get("LLM_INFERENCES_API_URL"):
        options = {"url": url, "token": values.get("LLM_INFERENCES_API_TOKEN") or ""}
        return {"default": {"BACKEND": "waldur_chat.providers.langserve.LangServeProvider", "OPTIONS": options}}
    return {}


def _completion(value: object) -> dict[str, Any]:
    """Options from an object or its JSON, as hosts store them.

    Invalid values count as empty, and options that are not allowed are ignored: staff change them while the site runs,
    and a chat without an option is better than no chat.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            value = None
    options = value if isinstance(value, Mapping) else {}
    allowed = {name: options[name] for name in options if name in COMPLETION_OPTIONS | FURTHER_COMPLETION_OPTIONS}
    limit = options.get("max_completion_tokens") or options.get("max_tokens")
    return {"completion": allowed, **({"max_output_tokens": limit} if limit else {})}
