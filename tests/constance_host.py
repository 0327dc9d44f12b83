"""A host with django-constance, of whatever release is installed, whose defaults and values a test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, ClassVar

import constance.utils
import pytest
from constance import settings as constance_settings
from constance.backends.memory import MemoryBackend
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import modify_settings
from django.utils.functional import empty

from waldur_chat.conf.constance import backend_at

Host = Callable[..., None]
MEMORY = f"{__name__}.CountingBackend"
REDIS = "constance.backends.redisd.RedisBackend"
CACHING_REDIS = "constance.backends.redisd.CachingRedisBackend"
DATABASE = "constance.backends.database.DatabaseBackend"
APPS = ["constance"]
if getattr(find_spec("constance.backends.database"), "submodule_search_locations", None):
    APPS.append("constance.backends.database")  # Before 3.0 an app of its own, as hosts must name it.


class CountingBackend(MemoryBackend):
    """Constance's backend for tests; it notes what it is asked, and whether on an event loop."""

    calls: ClassVar[list[str]] = []

    def get(self, key: str) -> Any:
        """One value."""
        self._note("get")
        return super().get(key)

    def mget(self, keys: Any) -> Any:
        """Several values."""
        self._note("mget")
        return super().mget(keys)

    def set(self, key: str, value: Any) -> None:
        """Write a value down."""
        self._note("set")
        super().set(key, value)

    def _note(self, name: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.calls.append(name)
        else:
            self.calls.append(f"{name} on an event loop")


class FakeRedis:
    """What constance needs of a client of Redis; all instances share one store."""

    store: ClassVar[dict[str, bytes]] = {}
    calls: ClassVar[list[str]] = []

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        self.calls.append("get")
        return self.store.get(key)

    def mget(self, keys: list[str]) -> list[bytes | None]:
        """The values of several keys."""
        self.calls.append("mget")
        return [self.store.get(key) for key in keys]

    def set(self, key: str, value: str | bytes) -> None:
        """Redis gives back bytes, whatever it was given."""
        self.calls.append("set")
        self.store[key] = value.encode() if isinstance(value, str) else value


def use_backend(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Let constance use this backend: it copies Django's settings when it is imported, and makes its backend once."""
    monkeypatch.setattr(constance_settings, "BACKEND", path)
    backend_at.cache_clear()
    for config in (constance.config, getattr(constance.utils, "config", constance.config)):
        monkeypatch.setattr(config, "_wrapped", empty)


@pytest.fixture
def host(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host with constance and none of our settings: call it with the defaults, and with the values that were set."""

    def has(defaults: dict[str, Any], **values: Any) -> None:
        settings.CONSTANCE_CONFIG = {name: (default, "") for name, default in defaults.items()}
        monkeypatch.setattr(constance_settings, "CONFIG", settings.CONSTANCE_CONFIG)
        for name, value in values.items():
            setattr(constance.config, name, value)
        CountingBackend.calls.clear()
        FakeRedis.calls.clear()

    del settings.WALDUR_CHAT
    monkeypatch.setattr(MemoryBackend, "_storage", {})
    monkeypatch.setattr(FakeRedis, "store", {})
    monkeypatch.setattr(constance_settings, "REDIS_CONNECTION_CLASS", f"{__name__}.FakeRedis")
    use_backend(monkeypatch, MEMORY)
    with modify_settings(INSTALLED_APPS={"append": APPS}):
        yield has
    for model in [one for one in admin.site._registry if one._meta.app_label == "constance"]:
        admin.site._registry.pop(model)  # Constance registers itself when it is imported.


@pytest.fixture
def stored_values(transactional_db: None, host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Model]]:
    """The host keeps its values in the database, in this model's table."""
    (model,) = (one for one in apps.get_models() if one.__name__ == "Constance")
    with connection.schema_editor() as editor:
        editor.create_model(model)
    use_backend(monkeypatch, DATABASE)
    yield model
    with connection.schema_editor() as editor:
        editor.delete_model(model)
