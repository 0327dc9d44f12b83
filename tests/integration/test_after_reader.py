"""What goes on when the reader of a stored answer has left may await the database still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils.translation import get_language
from rest_framework.authtoken.models import Token

from tests.integration.chatting import settled, until
from tests.integration.served import Served
from tests.unit.aio import run
from tests.unit.aio import until as until_async
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.models import Turn
from waldur_chat.providers.base import Provider
from waldur_chat.signals import turn_ended


class Counting(Provider):
    """Says how many users there are, before and after its reader has left, and which language was asked in."""

    go_on: ClassVar[asyncio.Event]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        yield Delta(text=f"{await get_user_model().objects.acount()} ")
        await self.go_on.wait()
        yield Delta(text=f"{await get_user_model().objects.acount()} {get_language()}")
        await sync_to_async(connections.close_all)()  # Of asgiref's one thread for what belongs to no request.


@pytest.fixture(autouse=True)
def counting(settings: Any) -> None:
    settings.WALDUR_CHAT = {
        "STORAGE": True,
        "TITLES": False,
        "PROVIDERS": {"default": {"BACKEND": f"{__name__}.Counting"}},
    }


async def leave_early(token: str) -> None:
    """Ask, read the beginning, and leave; the answer goes on until it is stored."""
    Counting.go_on = asyncio.Event()
    served = Served("stream", token)
    serving = asyncio.ensure_future(served.serve())
    await until_async(lambda: b"1 " in served.body)
    served.leave()
    await serving
    Counting.go_on.set()
    await asyncio.to_thread(settled_apart)


def settled_apart() -> None:
    """Wait in a thread that ends with its event loop, and whose connection nobody else closes."""
    try:
        settled()
    finally:
        connections.close_all()


def test_a_provider_does(user: Any) -> None:
    run(leave_early(Token.objects.create(user=user).key))
    turn = Turn.objects.get()
    assert (turn.status, turn.answer and turn.answer.text) == ("finished", "1 1 en")


def test_a_receiver_of_our_signals_does(user: Any) -> None:
    counted: list[int] = []

    async def all_users() -> int:
        return await get_user_model().objects.acount()

    def count(**_: Any) -> None:
        counted.append(async_to_sync(all_users)())

    turn_ended.connect(count)
    try:
        run(leave_early(Token.objects.create(user=user).key))
        until(lambda: counted)
    finally:
        turn_ended.disconnect(count)
    assert counted == [1]
