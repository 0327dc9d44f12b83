"""The checks of `manage.py check`. One check, one function, one id.

None queries the database or the network, except W013 on hosts with django-constance: it reads constance once.

waldur_chat.E001  WALDUR_CHAT is not a dict, or has an unknown setting or an invalid value
waldur_chat.E002  a provider cannot be created from the settings
waldur_chat.E003  no user can authenticate with a token
waldur_chat.W004  no URL leads to the API
waldur_chat.W005  the Waldur plugin could not register its URLs
waldur_chat.E006  the rate of a throttle scope cannot be read
waldur_chat.W007  a time limit never takes effect, since another one is shorter
waldur_chat.E011  the default database does not support conditional unique constraints
waldur_chat.E012  a database router writes tables of the app to another database than the default one
waldur_chat.W013  the host's django-constance cannot be read, or has an invalid value
waldur_chat.W014  a shortcut is off, since a library has changed

With `--deploy`:

waldur_chat.W008  the offline provider would answer in production
waldur_chat.W009  a key would be sent unencrypted
waldur_chat.W010  throttle rates are counted in a cache that processes do not share
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import URLPattern, URLResolver, get_resolver

from waldur_chat import conf, registry
from waldur_chat.api.request import auth, throttles
from waldur_chat.runtime import shortcuts

SETTINGS_PAGE = "docs/settings.md lists the settings."
VIEWS = "waldur_chat.api.views.chat"
SHORTER = (
    ("CONNECT_SECONDS", "FIRST_EVENT_SECONDS"),
    ("FIRST_EVENT_SECONDS", "TURN_SECONDS"),
    ("SILENCE_SECONDS", "TURN_SECONDS"),
    ("QUEUE_SECONDS", "TURN_SECONDS"),
)
"""Pairs of time limits: if the first is longer than the second, it never takes effect."""


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001. The shape, names and values of `settings.WALDUR_CHAT`."""
    try:
        site = conf.site_settings()
    except ImproperlyConfigured as error:
        return [_error(str(error), SETTINGS_PAGE, "E001")]
    return [_error(f"{place}: {message}", SETTINGS_PAGE, "E001") for place, message in conf.problems(site)]


@register(Tags.compatibility)
def check_providers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E002. The configured providers can be created."""
    try:
        for spec in conf.provider_specs(conf.site_settings(), {}).values():
            registry.build(spec)
    except ImproperlyConfigured as error:
        return [_error(str(error), SETTINGS_PAGE, "E002")]
    return []


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
        _error(f"{place}[{scope!r}]: {rate!r} is no rate.", hint, "E006")
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
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E011. Constraints of messages and turns need partial unique indexes, which MySQL, for example, lacks."""
    default = connections[DEFAULT_DB_ALIAS]
    if default.features.supports_partial_indexes:
        return []
    message = f"The default database ({default.vendor}) cannot hold what must be unique under a condition."
    return [_error(message, "Use PostgreSQL or SQLite: elsewhere two answers could take the same place.", "E011")]


@register(Tags.compatibility)
def check_routers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E012. All tables of the app are in the default database, since one transaction writes several of them."""
    models = apps.get_app_config("waldur_chat").get_models()
    names = [model.__name__ for model in models if router.db_for_write(model) != DEFAULT_DB_ALIAS]
    if not names:
        return []
    message = f"DATABASE_ROUTERS puts tables of waldur_chat into another database: {', '.join(names)}."
    return [_error(message, f"Let db_for_write() give {DEFAULT_DB_ALIAS!r} or None for this app.", "E012")]


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
    if auth.host_configured_authentication() or auth.tokens_are_installed():
        return []
    return [
        _error(
            "The chat API takes `Authorization: Token <key>`, but there is no table of tokens.",
            'Add "rest_framework.authtoken" to INSTALLED_APPS and migrate, '
            'or set REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].',
            "E003",
        )
    ]


@register(Tags.urls)
def check_urls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W004, or W005 if the Waldur plugin knows the reason."""
    if not getattr(settings, "ROOT_URLCONF", None) or any(_is_chat_url(one) for one in _patterns(get_resolver())):
        return []
    app: Any = apps.get_app_config("waldur_chat")
    if app.problem:
        return [Warning(app.problem, id="waldur_chat.W005")]
    hint = 'Add path("api/", include("waldur_chat.urls")) to the URLs of the site.'
    return [Warning("No URL leads to the chat API.", hint=hint, id="waldur_chat.W004")]


def _error(message: str, hint: str, code: str) -> CheckMessage:
    """An error, which stops commands; in Waldur a warning, since a plugin must not stop the commands of its host."""
    # Only Waldur imports the extension, through its entry point.
    severity = Warning if "waldur_chat.extension" in sys.modules else Error
    return severity(message, hint=hint, id=f"waldur_chat.{code}")


def _constance_problems() -> Iterator[str]:
    try:
        host = conf.host_settings()
        yield from (f"{place} {conf.IN_CONSTANCE}: {message}" for place, message in conf.problems(host))
        if host.get("PROVIDERS") and "PROVIDERS" not in _site_settings():
            for spec in conf.provider_specs({}, host).values():
                registry.build(spec)
    except ImproperlyConfigured as error:
        yield str(error)


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


def _sends_a_key_in_clear_text(options: Mapping[str, Any]) -> bool:
    address = urlsplit(str(options.get("base_url") or options.get("url") or ""))
    is_local = address.hostname in ("localhost", "127.0.0.1", "::1")
    return address.scheme == "http" and not is_local and bool(options.get("api_key") or options.get("token"))


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from _patterns(one)
        else:
            yield one


def _is_chat_url(pattern: URLPattern) -> bool:
    """Whether the pattern belongs to the chat viewset or a subclass of it. Compared by name, without an import."""
    viewset = getattr(pattern.callback, "cls", None)
    return any(kind.__module__ == VIEWS for kind in getattr(viewset, "__mro__", ()))
