"""Checks of what the host has set for all its views, and of its environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from rest_framework.settings import api_settings

from waldur_chat import conf
from waldur_chat.checks.severity import problem


@register(Tags.compatibility)
def check_model_variables(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W022. The model and its address in the environment, where no setting takes precedence."""
    try:
        found = "" if "PROVIDERS" in conf.site_settings() else conf.environment_problem()
    except ImproperlyConfigured:  # E001 reports it.
        found = ""
    return [Warning(found, hint="Set both, or neither.", id="waldur_chat.W022")] if found else []


@register(Tags.security)
def check_authenticators(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W021. Only a warning: a site whose viewsets have classes of their own, or are open to all, needs none here."""
    if host_classes():
        return []
    hint = "Name a class there, or give the viewsets classes of their own (docs/customizing.md)."
    place = 'REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"] is empty'
    return [Warning(f"{place}: the chat API refuses everybody.", hint=hint, id="waldur_chat.W021")]


@register(Tags.compatibility)
def check_context(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E032. The callable of `CONTEXT` is there. A value that is no string is E001's."""
    try:
        path = conf.site_value("CONTEXT")
    except ImproperlyConfigured:
        return []
    if not path or conf.is_callable(path):
        return []
    hint = "Answers are written without it, with a warning. docs/context.md says what it gets and gives."
    message = f"WALDUR_CHAT['CONTEXT']: {path!r} is not the dotted path of a callable."
    return [problem(message, hint, "E032")]


def host_classes() -> list[Any]:
    """The classes by which the host authenticates users."""
    return list(api_settings.DEFAULT_AUTHENTICATION_CLASSES)
