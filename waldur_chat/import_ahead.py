"""Imports the packages of the providers in the background, so that the first question of a process does not wait.

It begins with the first request of any kind: not before a server forks, and not in a command that needs no model.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started

from waldur_chat import conf, registry

IN_CONSTANCE = {"default": {"BACKEND": conf.OPENAI, "OPTIONS": {"base_url": "https://service.invalid/v1"}}}
"""In the place of a provider whose address the host keeps in constance: to read it would be a query."""


def begin_with_first_request() -> None:
    """Import what is needed when the first request comes."""
    request_started.connect(_begin, dispatch_uid=__name__)


def _begin(**_: Any) -> None:
    request_started.disconnect(dispatch_uid=__name__)
    if names := packages():
        threading.Thread(target=_import, args=(names,), name="waldur-chat-import", daemon=True).start()


def packages() -> set[str]:
    """The modules that the configured providers, and metrics, will need."""
    has_address = "AI_ASSISTANT_API_URL" in getattr(settings, "CONSTANCE_CONFIG", {})
    with suppress(ImproperlyConfigured):  # The first question, and the checks, report it.
        chain = conf.fallback_chain(
            conf.provider_specs(conf.site_settings(), {"PROVIDERS": IN_CONSTANCE} if has_address else {})
        )
        needed = {name for spec in chain if (name := registry.slow_import(spec))}
        return needed | {"prometheus_client"} if conf.site_value("METRICS") else needed
    return set()


def _import(names: set[str]) -> None:
    for name in names:
        with suppress(ImportError):  # The first question reports it.
            import_module(name)
