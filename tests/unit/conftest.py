"""What every unit test is held to, and what several of them need."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import openai
import pytest
from hypothesis import settings

from tests.constance_host import host  # noqa: F401  # A fixture.
from waldur_chat.asgi import thread_pool

settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")

# The background loop, and the executors of asyncio and asgiref, which keep their threads by design.
KEPT_THREADS = ("waldur-chat", "asyncio_", "ThreadPoolExecutor")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith(KEPT_THREADS)]
    for thread in left:
        thread.join(timeout=5)  # asgiref ends a request's thread from another one, a moment later.
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture(autouse=True)
def no_model_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "WALDUR_CHAT_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def resting(monkeypatch: pytest.MonkeyPatch) -> Iterator[deque[thread_pool.RequestThread]]:
    """The threads that are kept for requests, which end with the test."""
    kept: deque[thread_pool.RequestThread] = deque()
    monkeypatch.setattr(thread_pool, "_resting", kept)
    yield kept
    for thread in kept:
        thread.end()


@pytest.fixture(params=["aiohttp", "httpx"])
def http_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each HTTP client that the openai SDK may bring."""
    return use_http_client(request.param, monkeypatch)


def use_http_client(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the SDK bring this HTTP client; skip the test where it cannot."""
    if name == "httpx":
        monkeypatch.setattr(openai, "DefaultAioHttpClient", _not_installed)
    else:
        try:
            openai.DefaultAioHttpClient()
        except RuntimeError:
            pytest.skip("The extra openai[aiohttp] is not installed.")
    return name


def _not_installed(**options: object) -> None:
    raise RuntimeError("To use the aiohttp client you must have installed the package with the `aiohttp` extra")
