"""Builds providers from the dotted paths in the settings."""

from __future__ import annotations

import inspect
from difflib import get_close_matches

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from waldur_chat.conf import ProviderSpec
from waldur_chat.providers.base import Provider


def build(spec: ProviderSpec) -> Provider:
    """Build a provider. Raises `ImproperlyConfigured`, which names the setting, if the settings are wrong."""
    backend = provider_class(spec)
    _check_options(spec, backend)
    try:
        return backend(**spec.options)
    except (ImproperlyConfigured, TypeError) as error:
        raise ImproperlyConfigured(f"{spec.place}: {error}") from error
    except Exception as error:  # Any other message may contain secrets, as that of int("sk-...") does.
        raise ImproperlyConfigured(f"{spec.place}: {type(error).__name__}") from error


def provider_class(spec: ProviderSpec) -> type[Provider]:
    """Import the class that the settings name. Raises `ImproperlyConfigured` if there is none."""
    try:
        backend = import_string(spec.backend)
    except (ImportError, TypeError, ValueError) as error:  # TypeError and ValueError: a path that begins with a dot.
        raise ImproperlyConfigured(f"{spec.place}['BACKEND']: {error}") from error
    if not (inspect.isclass(backend) and issubclass(backend, Provider)):
        raise ImproperlyConfigured(f"{spec.place}['BACKEND']: {spec.backend} is not a subclass of Provider.")
    return backend


def _check_options(spec: ProviderSpec, backend: type[Provider]) -> None:
    parameters = inspect.signature(backend).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for option in spec.options:
        if option not in known:
            matches = get_close_matches(str(option), known, n=1)
            advice = f"Did you mean {matches[0]!r}?" if matches else f"It knows {', '.join(known) or 'none'}."
            raise ImproperlyConfigured(f"{spec.place}['OPTIONS']: unknown option {option!r}. {advice}")


def slow_import(spec: ProviderSpec) -> str:
    """The package that the provider's first request imports, which takes up to seconds; empty for a provider without.

    Raises `ImproperlyConfigured` if the settings are wrong.
    """
    choice = build(spec).transport_choice()
    return {"sdk": "openai", "aiohttp": "aiohttp"}[choice.name] if choice else ""
