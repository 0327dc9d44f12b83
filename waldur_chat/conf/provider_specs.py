"""The providers that the settings configure, and the order of their fallbacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

OFFLINE = "waldur_chat.providers.offline.OfflineProvider"
OPENAI = "waldur_chat.providers.openai.OpenAIProvider"
OPENAI_HOST = "api.openai.com"
ENVIRONMENT = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY", "model": "WALDUR_CHAT_MODEL"}
"""Options of the OpenAI-compatible provider, and the environment variables that set them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """The configuration of one provider, and the name of its fallback.

    `backend` is the dotted path of its class; `options` are its keyword arguments and contain secrets. `place` is where
    it is configured, for error messages.
    """

    name: str
    backend: str
    options: Mapping[str, Any] = field(repr=False)
    place: str
    fallback: str = ""


def provider_specs(site: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, ProviderSpec]:
    """The providers by name, from the first source that has any: the site, the host, the environment, the default.

    `site` is `settings.WALDUR_CHAT`, `host` what `constance.read()` returns. Raises `ImproperlyConfigured`, which names
    the place, for an entry of the wrong shape, and for missing or circular fallbacks.
    """
    if "PROVIDERS" in site:
        return _specs(site["PROVIDERS"], "WALDUR_CHAT['PROVIDERS']")
    if host.get("PROVIDERS"):
        return _specs(host["PROVIDERS"], "constance")
    if options := _environment_options():
        return _specs({"default": {"BACKEND": OPENAI, "OPTIONS": options}}, "the environment")
    # A host that has a setting for the address, but left it empty, must not get answers of the offline provider.
    if "PROVIDERS" in host:
        return {}
    return _specs({"default": {"BACKEND": OFFLINE}}, "the default")


def fallback_chain(specs: Mapping[str, ProviderSpec], name: str = "default") -> tuple[ProviderSpec, ...]:
    """A provider and its fallbacks, in order; empty if there is no provider of that name.

    Raises `ImproperlyConfigured` for a missing or circular fallback.
    """
    if name not in specs:
        return ()
    chain = [specs[name]]
    while fallback := chain[-1].fallback:
        place = f"{chain[-1].place}['FALLBACK']"
        if fallback not in specs:
            raise ImproperlyConfigured(f"{place}: there is no provider {fallback!r}.")
        if specs[fallback] in chain:
            raise ImproperlyConfigured(f"{place}: {fallback!r} comes before it; fallbacks must not go in a circle.")
        chain.append(specs[fallback])
    return tuple(chain)


def environment_problem() -> str:
    """Why the environment does not say which model to ask where; empty if it does, or says nothing."""
    base_url, key, model = (os.environ.get(name) for name in ENVIRONMENT.values())
    if model and not (base_url or key):
        return "WALDUR_CHAT_MODEL names a model, but neither OPENAI_BASE_URL nor OPENAI_API_KEY says where it is."
    if base_url and not model and urlsplit(base_url).hostname != OPENAI_HOST:
        return "OPENAI_BASE_URL is set, but WALDUR_CHAT_MODEL is not: the service is asked for a model of OpenAI's."
    return ""


@cache
def _report(problem: str) -> None:
    """Log the problem, once per process."""
    logger.warning("%s", problem)


def _environment_options() -> dict[str, str]:
    if problem := environment_problem():
        _report(problem)
    options = {option: value for option, name in ENVIRONMENT.items() if (value := os.environ.get(name))}
    return options if options.keys() & {"base_url", "api_key"} else {}


def _specs(providers: object, place: str) -> dict[str, ProviderSpec]:
    if not isinstance(providers, Mapping):
        raise ImproperlyConfigured(f"{place}: must be a dict of providers by name.")
    specs = {name: _spec(name, entry, f"{place}[{name!r}]") for name, entry in providers.items()}
    for name in specs:  # Also providers that nothing uses yet must have valid fallbacks.
        fallback_chain(specs, name)
    return specs


def _spec(name: str, entry: object, place: str) -> ProviderSpec:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("BACKEND"), str):
        raise ImproperlyConfigured(f"{place}: must be a dict with 'BACKEND', the dotted path of a provider class.")
    if unknown := set(entry) - {"BACKEND", "OPTIONS", "FALLBACK"}:
        raise ImproperlyConfigured(
            f"{place}: unknown key {min(unknown, key=str)!r}; it takes BACKEND, OPTIONS and FALLBACK."
        )
    options = entry.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured(f"{place}['OPTIONS']: must be a dict of keyword arguments.")
    fallback = entry.get("FALLBACK", "")
    if not isinstance(fallback, str):
        raise ImproperlyConfigured(f"{place}['FALLBACK']: must be the name of another provider.")
    return ProviderSpec(name=name, backend=entry["BACKEND"], options=options, place=place, fallback=fallback)
