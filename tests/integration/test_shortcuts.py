"""Where a library is not as it was, a shortcut is off, and requests go the ordinary way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.integration.served import Served
from tests.unit.aio import run, until
from waldur_chat import checks
from waldur_chat.runtime import shortcuts
from waldur_chat.testing import scripted

NAMES = [(one.name, need.path) for one in shortcuts.SHORTCUTS if shortcuts.is_installed(one) for need in one.needs]


def hide(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a name be missing, for our package alone."""

    def found(asked: str) -> Any:
        if asked == path:
            raise AttributeError(asked)
        return resolve_name(asked)

    monkeypatch.setattr(shortcuts, "resolve_name", found)


pytestmark = pytest.mark.usefixtures("with_shortcuts")


def under_wsgi(operation: str, token: str) -> tuple[int, bytes]:
    response = Client().post(
        f"/api/chat/{operation}/", {"input": "Hi"}, "application/json", headers={"Authorization": f"Token {token}"}
    )
    return response.status_code, b"".join(response)


def under_asgi(operation: str, token: str) -> tuple[int, bytes]:
    async def main() -> tuple[int, bytes]:
        served = Served(operation, token)
        await served.serve()
        return served.status, served.body

    return run(main())


@pytest.mark.parametrize("ask", [under_wsgi, under_asgi])
@pytest.mark.parametrize(("name", "path"), NAMES, ids=[path for _, path in NAMES])
def test_without_a_name_requests_go_the_ordinary_way(
    name: str,
    path: str,
    ask: Callable[[str, str], tuple[int, bytes]],
    user: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hide(path, monkeypatch)
    token = Token.objects.create(user=user).key
    with scripted("Hel", 0.1, "lo"):
        for operation in ("invoke", "stream"):
            status, body = ask(operation, token)
            assert (status, b"lo" in body) == (200, True)
    assert not shortcuts.is_on(name)
    logged = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    warned = [one.msg for one in checks.check_shortcuts(None)]
    assert [(name in words, path in words) for words in logged] == [(True, True)]
    assert [(name in words, path in words) for words in warned] == [(True, True)]


@pytest.mark.parametrize("ask", [under_wsgi, under_asgi])
@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_all_can_be_off(
    operation: str, ask: Callable[[str, str], tuple[int, bytes]], user: Any, no_shortcuts: None
) -> None:
    with scripted("Hel", 0.1, "lo"):
        status, body = ask(operation, Token.objects.create(user=user).key)
    assert (status, b"lo" in body) == (200, True)
    assert checks.check_shortcuts(None) == []


@pytest.mark.parametrize("steps", [(60.0,), ("Hello", 60.0)])
def test_who_leaves_is_noticed_without_them(
    steps: tuple[Any, ...], user: Any, settings: Any, no_shortcuts: None
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    token = Token.objects.create(user=user).key

    async def main() -> None:
        with scripted(*steps) as provider:
            served = Served("stream", token)
            serving = asyncio.ensure_future(served.serve())
            await until(lambda: provider.opened == 1 and (len(steps) == 1 or served.body))
            served.leave()
            await serving
            await until(lambda: provider.closed == 1)

    run(main())
