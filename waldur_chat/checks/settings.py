"""Checks of the settings of this package: shape, values, providers, limits, and what they mean in production."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf, registry
from waldur_chat.api.request import auth, throttles
from waldur_chat.checks.hosts import host_classes
from waldur_chat.checks.severity import problem
from waldur_chat.messages import Message
from waldur_chat.providers.transport.environment import environment_problems
from waldur_chat.runtime import shortcuts
from waldur_chat.store.budgets.token_estimates import TokenEstimate
from waldur_chat.text_size import measured

SETTINGS_PAGE = "docs/settings.md lists the settings."
PARTS = ("FIRST_EVENT_SECONDS", "SILENCE_SECONDS", "QUEUE_SECONDS", "CONTEXT_SECONDS")
SHORTER = (("CONNECT_SECONDS", "FIRST_EVENT_SECONDS"), *((part, "TURN_SECONDS") for part in PARTS))
"""Pairs of time limits: if the first is longer than the second, it never takes effect."""


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001. The shape, names and values of `settings.WALDUR_CHAT`."""
    try:
        site = conf.site_settings()
    except ImproperlyConfigured as error:
        return [problem(str(error), SETTINGS_PAGE, "E001")]
    return [problem(f"{place}: {message}", SETTINGS_PAGE, "E001") for place, message in conf.problems(site)]


@register(Tags.compatibility)
def check_providers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E002. The configured providers can be created."""
    try:
        specs = conf.provider_specs(conf.site_settings(), {})
        for spec in specs.values():
            registry.build(spec)
    except ImproperlyConfigured as error:
        return [problem(str(error), SETTINGS_PAGE, "E002")]
    if "default" in specs:
        return []
    return [problem("WALDUR_CHAT['PROVIDERS']: there is no 'default', the one that is asked.", SETTINGS_PAGE, "E002")]


@register(Tags.compatibility)
def check_constance(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W013. Only a warning: Redis may be missing while an image is built, and staff can correct values at run time."""
    hint = (
        "Until this is mended, requests are answered by 409 chat_not_configured. docs/settings.md lists what is read."
    )
    return [Warning(message, hint=hint, id="waldur_chat.W013") for message in _constance_problems()]


@register(Tags.compatibility)
def check_rates(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E006. The format of throttle rates, which DRF would only parse when a request comes."""
    hint = 'A rate is written like "20/minute": a number, a slash, and second, minute, hour or day.'
    place = 'REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]'
    return [
        problem(f"{place}[{scope!r}]: {rate!r} is no rate.", hint, "E006")
        for scope, rate in throttles.rates().items()
        if not re.fullmatch(r"[1-9]\d*/[smhd]\w*", str(rate))
    ]


@register(Tags.compatibility)
def check_limits(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W007. Time limits that contain each other. Only those that the site sets are reported."""
    hint = "Connecting is part of the wait for the first event, and all of them are parts of the turn."
    return [
        Warning(f"WALDUR_CHAT[{short!r}] is longer than WALDUR_CHAT[{long!r}].", hint=hint, id="waldur_chat.W007")
        for short, long in SHORTER
        if short in _site_settings() and _seconds(short) > _seconds(long)
    ]


@register(Tags.compatibility)
def check_shortcuts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W014. Shortcuts that are off because a library lacks a name or has changed."""
    hint = 'Requests go the ordinary way. WALDUR_CHAT["SHORTCUTS"] = False turns all shortcuts off.'
    return [
        Warning(
            f"The shortcut {one.name} is off: this release of {one.package} has no {path} as it was.",
            hint=hint,
            id="waldur_chat.W014",
        )
        for one, path in shortcuts.missing()
    ]


@register(Tags.compatibility)
def check_budgets(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W016. Limits of tokens that refuse every question. W013 reports those in constance."""
    hint = "0 is for no questions at all, and -1 for no limit. A long SYSTEM_PROMPT is part of every question."
    small = _small_budgets(_site_settings())
    return [Warning(f"{place}: {message}", hint=hint, id="waldur_chat.W016") for place, message in small]


@register(Tags.compatibility)
def check_environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W015. Variables for proxies and certificates. Only a warning: the environment of the server may be another."""
    hint = "Requests are answered by 409 chat_not_configured until this is mended. docs/providers.md says what is read."
    problems = environment_problems() if any(map(_uses_the_environment, _chain())) else []
    return [Warning(message, hint=hint, id="waldur_chat.W015") for message in problems]


@register(Tags.compatibility, deploy=True)
def check_offline(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W008. The offline provider in production."""
    if not any(spec.backend == conf.OFFLINE for spec in _chain()):
        return []
    hint = 'Name a model in WALDUR_CHAT["PROVIDERS"], or set OPENAI_BASE_URL and OPENAI_API_KEY.'
    return [Warning("The offline provider would answer: no model is connected.", hint=hint, id="waldur_chat.W008")]


@register(Tags.security, deploy=True)
def check_addresses(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W009. Keys over plain HTTP."""
    hint = "Use an address that begins with https://, or leave out the key where the network is your own."
    return [
        Warning(f"{spec.place}: its key would cross the network in clear text.", hint=hint, id="waldur_chat.W009")
        for spec in _chain()
        if _sends_a_key_in_clear_text(spec.options)
    ]


@register(Tags.caches, deploy=True)
def check_cache(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W010. Throttle rates in a cache of one process."""
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    if not throttles.rates() or not backend.endswith(("LocMemCache", "DummyCache")):
        return []
    hint = "Use a cache that all processes share (Redis, Memcached, the database), or multiply the rates."
    return [Warning("Each process counts the chat's rates by itself.", hint=hint, id="waldur_chat.W010")]


@register(Tags.security)
def check_authentication(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E003. Token authentication without a table of tokens."""
    if auth.tokens_are_installed():
        return []
    if auth.host_configured_authentication() and not any(map(auth.lacks_table, host_classes())):
        return []
    return [
        problem(
            "The chat API takes `Authorization: Token <key>`, but there is no table of tokens.",
            'Add "rest_framework.authtoken" to INSTALLED_APPS and migrate, '
            'or set REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].',
            "E003",
        )
    ]


def _constance_problems() -> Iterator[str]:
    try:
        host = conf.host_settings()
        problems = [*conf.problems(host), *_small_budgets(host)]
        yield from (f"{place} {conf.IN_CONSTANCE}: {message}" for place, message in problems)
        if host.get("PROVIDERS") and "PROVIDERS" not in _site_settings():
            for spec in conf.provider_specs({}, host).values():
                registry.build(spec)
    except ImproperlyConfigured as error:
        yield str(error)


def _small_budgets(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Places and messages for limits of tokens below what the shortest question needs, with a token of its answer."""
    prompt = values.get("SYSTEM_PROMPT", _site_settings().get("SYSTEM_PROMPT"))
    texts = [Message(role="user", text=text) for text in (prompt, "?") if isinstance(text, str) and text]
    needed = TokenEstimate().input_tokens(measured(texts)) + 1
    for name, limit in values.items():
        if "_TOKENS_" in str(name) and type(limit) is int and 0 < limit < needed:
            yield f"WALDUR_CHAT[{name!r}]", f"No question fits into {limit} tokens: the shortest needs {needed}."


def _site_settings() -> Mapping[str, Any]:
    """`settings.WALDUR_CHAT`; empty if it is invalid, which E001 reports."""
    try:
        return conf.site_settings()
    except ImproperlyConfigured:
        return {}


def _seconds(name: str) -> float:
    """A time limit; infinite if it is not a number, which E001 reports."""
    try:
        return float(conf.site_value(name))
    except ImproperlyConfigured:
        return math.inf


def _chain() -> Sequence[conf.ProviderSpec]:
    """The default provider and its fallbacks; none if they are invalid, which E001 or E002 reports."""
    try:
        return conf.fallback_chain(conf.provider_specs(conf.site_settings(), {}))
    except ImproperlyConfigured:
        return ()


def _uses_the_environment(spec: conf.ProviderSpec) -> bool:
    """Whether requests of this provider are sent by the SDK's HTTP client, which reads variables for proxies."""
    try:
        choice = registry.build(spec).transport_choice()
    except ImproperlyConfigured:  # E002 reports it.
        return False
    return choice is not None and choice.name == "sdk"


def _sends_a_key_in_clear_text(options: Mapping[str, Any]) -> bool:
    address = urlsplit(str(options.get("base_url") or options.get("url") or ""))
    is_local = address.hostname in ("localhost", "127.0.0.1", "::1")
    return address.scheme == "http" and not is_local and bool(options.get("api_key") or options.get("token"))
