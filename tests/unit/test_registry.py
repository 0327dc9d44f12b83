"""From dotted paths to providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf, registry
from waldur_chat.conf import ProviderSpec
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.offline import OfflineProvider
from waldur_chat.providers.openai import OpenAIProvider


class Plain(Provider):
    """Takes no options."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        return
        yield


class Open(Plain):
    """Takes any options."""

    def __init__(self, **options: object) -> None:
        self.options = options


class Picky(Plain):
    """Takes no value."""

    def __init__(self, *, size: object = None) -> None:
        raise ImproperlyConfigured("size must be right")


def build(backend: object, options: Any = None) -> Provider:
    path = backend if isinstance(backend, str) else f"{__name__}.{getattr(backend, '__name__', backend)}"
    spec = ProviderSpec(
        name="default", backend=path, options=options or {}, place="WALDUR_CHAT['PROVIDERS']['default']"
    )
    return registry.build(spec)


@pytest.mark.parametrize(
    ("backend", "options", "kind"),
    [
        (conf.OFFLINE, {"delay": 0}, OfflineProvider),
        (conf.OPENAI, {"base_url": "http://localhost/v1"}, OpenAIProvider),
        ("waldur_chat.providers.langserve.LangServeProvider", {"url": "http://localhost/"}, LangServeProvider),
        (Plain, {}, Plain),
        (Open, {"anything": 1}, Open),
    ],
)
def test_a_path_becomes_a_provider(backend: object, options: dict[str, object], kind: type[Provider]) -> None:
    assert type(build(backend, options)) is kind


@pytest.mark.parametrize(
    ("backend", "options", "words"),
    [
        ("no.such.Provider", {}, r"\['BACKEND'\]: No module named 'no'"),
        ("nodots", {}, r"\['BACKEND'\]: nodots doesn't look like a module path"),
        ("waldur_chat.conf.NAMES", {}, r"\['BACKEND'\]: .* is not a subclass of Provider"),
        ("waldur_chat.conf.Settings", {}, r"\['BACKEND'\]: .* is not a subclass of Provider"),
        ("waldur_chat.providers.base.Provider", {}, "abstract"),
        (conf.OPENAI, {"modle": "x"}, r"\['OPTIONS'\]: unknown option 'modle'. Did you mean 'model'\?"),
        (conf.OFFLINE, {"xyz": "x"}, r"unknown option 'xyz'. It knows delay\."),
        (Plain, {"xyz": "x"}, r"unknown option 'xyz'. It knows none\."),
        (conf.OPENAI, {"model": ""}, "model must name"),
        (Picky, {"size": 1}, "size must be right"),
        ("waldur_chat.providers.langserve.LangServeProvider", {}, "missing .*'url'"),
        (Open, {1: "x"}, "must be strings"),
    ],
)
def test_what_cannot_work_is_told_with_its_place(backend: object, options: dict[str, object], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as raised:
        build(backend, options)
    assert str(raised.value).startswith("WALDUR_CHAT['PROVIDERS']['default']")


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (conf.OFFLINE, {1: "x"}),
        (".Provider", {}),
        (conf.OPENAI, {"completion": ["temperature"]}),
    ],
)
def test_nothing_escapes_as_another_exception(backend: object, options: dict[str, object]) -> None:
    with pytest.raises(ImproperlyConfigured):
        build(backend, options)


class Exploding(Provider):
    """Raises what nobody expects."""

    def __init__(self) -> None:
        int("secret")

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        yield Delta(text="Hello")


def test_whatever_a_class_raises_is_a_matter_of_settings_and_no_secret() -> None:
    spec = ProviderSpec(name="default", backend=f"{__name__}.Exploding", options={}, place="here")
    with pytest.raises(ImproperlyConfigured, match=r"^here: ValueError$"):
        registry.build(spec)
