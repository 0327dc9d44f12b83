"""What `manage.py check` finds. One check, one function, one id; none queries the database or the network.

waldur_chat.E001  WALDUR_CHAT is no dict, or names a setting or value that cannot be
waldur_chat.E002  a provider cannot be made of what the settings say
waldur_chat.E003  nobody can authenticate with a token
waldur_chat.W004  no URL leads to the API
waldur_chat.W005  the Waldur plugin could not register its URLs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver, get_resolver

from waldur_chat import conf, registry
from waldur_chat.api import access

README = "The README lists the settings."
VIEWS = "waldur_chat.api.views"


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001."""
    try:
        own = conf.site_settings()
    except ImproperlyConfigured as error:
        return [_error(str(error), README, "E001")]
    return [_error(f"{place}: {words}", README, "E001") for place, words in conf.problems(own)]


@register(Tags.compatibility)
def check_providers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E002."""
    try:
        own = conf.site_settings()
        for spec in conf.provider_specs(own).values() if "PROVIDERS" in own else ():
            registry.build(spec)
    except ImproperlyConfigured as error:
        return [_error(str(error), README, "E002")]
    return []


@register(Tags.security)
def check_authentication(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E003."""
    if access.host_configured_authentication() or access.tokens_are_installed():
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
    """W004, or W005 where the plugin knows why."""
    if not getattr(settings, "ROOT_URLCONF", None) or any(_leads_to_us(one) for one in _patterns(get_resolver())):
        return []
    ours: Any = apps.get_app_config("waldur_chat")
    if ours.problem:
        return [Warning(ours.problem, id="waldur_chat.W005")]
    hint = 'Add path("api/", include("waldur_chat.urls")) to the URLs of the site.'
    return [Warning("No URL leads to the chat API.", hint=hint, id="waldur_chat.W004")]


def _error(words: str, hint: str, code: str) -> CheckMessage:
    """An error, which keeps commands from running; a warning in Waldur, whose commands no plugin may stop."""
    severity = Warning if "waldur_chat.extension" in sys.modules else Error
    return severity(words, hint=hint, id=f"waldur_chat.{code}")


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from _patterns(one)
        else:
            yield one


def _leads_to_us(pattern: URLPattern) -> bool:
    """Whether a viewset of ours answers there; told by name, so that nothing of the API is imported."""
    return getattr(getattr(pattern.callback, "cls", None), "__module__", "") == VIEWS
