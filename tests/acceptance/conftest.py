"""The host project as a process, for the tests that call it with clients of other people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.processes import Running, fake_service, host


@pytest.fixture(scope="session")
def model_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The fake model service."""
    with fake_service(tmp_path_factory.mktemp("model_service")) as running:
        yield running


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fake model service of the module's own, for tests that count what it sees."""
    with fake_service(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="session")
def chat_with(model_service: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start the host in front of a model, whose name says how it behaves; one process for each name."""
    with ExitStack() as stack:

        @cache
        def chat_with(model: str) -> Running:
            directory, provider = tmp_path_factory.mktemp("chat"), f"{model_service.address}/v1"
            settings = {"BREAKER_FAILURES": 1000}  # Many tests ask one that fails.
            return stack.enter_context(host("uvicorn", directory, model=model, provider=provider, settings=settings))

        yield chat_with


@pytest.fixture(scope="session")
def chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model says "w0 w1 w2 w3 w4 " at once."""
    return chat_with("tokens=5")


@pytest.fixture(scope="session")
def slow_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model says the same, each word 0.3 s after the other."""
    return chat_with("tokens=5&delay=0.3")


@pytest.fixture(scope="session")
def breaking_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model fails after its second word."""
    return chat_with("tokens=5&fault=2")


@pytest.fixture(scope="session")
def failing_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model answers nothing but 500."""
    return chat_with("status=500")
