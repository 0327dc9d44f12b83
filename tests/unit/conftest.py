"""What every unit test is held to, and what several of them need."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.constance_host import host  # noqa: F401  # A fixture.
from waldur_chat.asgi import thread_pool
from waldur_chat.providers.transport import choice

settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")

# The background loop, and the executors of asyncio and asgiref, which keep their threads by design.
KEPT_THREADS = ("waldur-chat", "asyncio_", "ThreadPoolExecutor")

MODEL_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "WALDUR_CHAT_MODEL")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith(KEPT_THREADS)]
    for thread in left:
        thread.join(timeout=5)  # asgiref ends a request's thread from another one, a moment later.
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture(autouse=True)
def no_model_and_no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MODEL_VARIABLES, *choice.PROXY_VARIABLES, *choice.CERTIFICATE_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def resting(monkeypatch: pytest.MonkeyPatch) -> Iterator[deque[thread_pool.RequestThread]]:
    """The threads that are kept for requests, which end with the test."""
    kept: deque[thread_pool.RequestThread] = deque()
    monkeypatch.setattr(thread_pool, "_idle", kept)
    yield kept
    for thread in kept:
        thread.end()


@pytest.fixture(params=["aiohttp", "sdk"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each transport that asks a plain address, with aiohttp and without it."""
    return use_transport(request.param, monkeypatch)


def use_transport(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this transport ask plain addresses; skip the test where its library is not installed."""
    if name == "sdk":
        monkeypatch.setattr(choice, "is_aiohttp_installed", lambda: False)
    elif not choice.is_aiohttp_installed():
        pytest.skip("aiohttp is not installed.")
    return name
