"""Which providers the settings name, and in which order they are asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured

OFFLINE = "waldur_chat.providers.offline.OfflineProvider"
OPENAI = "waldur_chat.providers.openai.OpenAIProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One provider as the settings name it, and which provider is asked when it fails.

    `backend` is the dotted path of its class, `options` are its keyword arguments and hold secrets. `place` says for
    error messages where it is configured.
    """

    name: str
    backend: str
    options: Mapping[str, Any] = field(repr=False)
    place: str
    fallback: str = ""


def provider_specs(site: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, ProviderSpec]:
    """The providers by name, from the first source that has any: the site, the host, the environment, the default.

    `site` is `settings.WALDUR_CHAT`, `host` what `constance.read()` returns. Raises `ImproperlyConfigured`, which names
    the place, for an entry of the wrong shape and for fallbacks that are missing or go in a circle.
    """
    if "PROVIDERS" in site:
        return _specs(site["PROVIDERS"], "WALDUR_CHAT['PROVIDERS']")
    if host.get("PROVIDERS"):
        return _specs(host["PROVIDERS"], "constance")
    if options := _environment_options():
        return _specs({"default": {"BACKEND": OPENAI, "OPTIONS": options}}, "the environment")
    if "PROVIDERS" in host:  # A host that has a name for the address, but left it empty, wants no offline answers.
        return {}
    return _specs({"default": {"BACKEND": OFFLINE}}, "the default")


def fallback_chain(specs: Mapping[str, ProviderSpec], name: str = "default") -> tuple[ProviderSpec, ...]:
    """A provider and its fallbacks; empty where there is none of that name.

    Raises `ImproperlyConfigured` for a fallback that does not exist or that comes again.
    """
    if name not in specs:
        return ()
    found = [specs[name]]
    while following := found[-1].fallback:
        place = f"{found[-1].place}['FALLBACK']"
        if following not in specs:
            raise ImproperlyConfigured(f"{place}: there is no provider {following!r}.")
        if specs[following] in found:
            raise ImproperlyConfigured(f"{place}: {following!r} comes before it; fallbacks must not go in a circle.")
        found.append(specs[following])
    return tuple(found)


def _environment_options() -> dict[str, str]:
    names = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY", "model": "WALDUR_CHAT_MODEL"}
    options = {option: value for option, name in names.items() if (value := os.environ.get(name))}
    return options if options.keys() & {"base_url", "api_key"} else {}


def _specs(providers: object, place: str) -> dict[str, ProviderSpec]:
    if not isinstance(providers, Mapping):
        raise ImproperlyConfigured(f"{place}: must be a dict of providers by name.")
    specs = {name: _spec(name, entry, f"{place}[{name!r}]") for name, entry in providers.items()}
    for name in specs:
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
