"""Keeps providers, and with them their connections, between turns: one of each on every event loop.

A provider's connections belong to the loop they were opened on, so nothing is shared between loops. When settings
change, the next turn gets a new provider; the old one is closed when its last turn ends. All are closed with their
loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry
from waldur_chat.conf import ProviderSpec
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.providers.base import Provider


@dataclass(slots=True, kw_only=True)
class _Shared:
    spec: ProviderSpec
    provider: Provider
    turns: int = 0


class _Pool:
    """The providers of one loop, by name."""

    def __init__(self) -> None:
        self._providers: dict[str, _Shared] = {}
        self._keeper = asyncio.get_running_loop().create_task(self._close_with_the_loop())

    async def acquire(self, spec: ProviderSpec) -> _Shared:
        shared = self._providers.get(spec.name)
        if shared is None or shared.spec != spec:
            superseded, shared = shared, _Shared(spec=spec, provider=_build(spec))
            self._providers[spec.name] = shared
            if superseded and not superseded.turns:
                await superseded.provider.aclose()
        shared.turns += 1
        return shared

    async def release(self, shared: _Shared) -> None:
        shared.turns -= 1
        if not shared.turns and self._providers.get(shared.spec.name) is not shared:
            await shared.provider.aclose()

    async def _close_with_the_loop(self) -> None:
        """Wait for what `asyncio.run` and the servers do last to a loop: cancel the tasks that are left."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for shared in self._providers.values():
                await shared.provider.aclose()


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()


@asynccontextmanager
async def lease(spec: ProviderSpec) -> AsyncIterator[Provider]:
    """The provider of these settings, for one turn. Raises `ChatNotConfigured` where they do not work."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = _Pool()
    shared = await pool.acquire(spec)
    try:
        yield shared.provider
    finally:
        await pool.release(shared)


def _build(spec: ProviderSpec) -> Provider:
    try:
        return registry.build(spec)
    except ImproperlyConfigured as error:
        raise ChatNotConfigured(str(error)) from error
