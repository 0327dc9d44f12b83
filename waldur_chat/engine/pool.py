"""Keeps providers, and with them their connections, between turns: one of each on every event loop.

A provider's connections belong to the loop they were opened on, so nothing is shared between loops. When settings
change, the next turn gets a new provider; the old one is closed when its last turn ends. All are closed with their
loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry
from waldur_chat.conf import ProviderSpec
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.providers.base import Provider

logger = logging.getLogger(__name__)


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

    def acquire(self, spec: ProviderSpec) -> tuple[_Shared, _Shared | None]:
        """What the settings name, counted as used, and what it took the place of."""
        superseded = self._providers.get(spec.name)
        if superseded is None or superseded.spec != spec:
            shared = self._providers[spec.name] = _Shared(spec=spec, provider=_build(spec))
        else:
            shared, superseded = superseded, None
        shared.turns += 1
        return shared, superseded

    async def release(self, shared: _Shared) -> None:
        shared.turns -= 1
        await self.close_unused(shared)

    async def close_unused(self, shared: _Shared) -> None:
        """Close a provider that nobody uses any more; the turn that notices it does not suffer when that fails."""
        if not shared.turns and self._providers.get(shared.spec.name) is not shared:
            try:
                await shared.provider.aclose()
            except Exception as error:
                logger.warning("A provider could not be closed: %s", type(error).__name__)

    async def _close_with_the_loop(self) -> None:
        """Wait for what `asyncio.run` and the servers do last to a loop: cancel the tasks that are left."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            closing = [shared.provider.aclose() for shared in self._providers.values()]
            await asyncio.gather(*closing, return_exceptions=True)
            _pools.pop(asyncio.get_running_loop(), None)  # The task of this pool holds the loop: nothing else frees it.
            raise


_pools: dict[asyncio.AbstractEventLoop, _Pool] = {}


@asynccontextmanager
async def lease(spec: ProviderSpec) -> AsyncIterator[Provider]:
    """The provider of these settings, for one turn. Raises `ChatNotConfigured` where they do not work."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        for closed in [one for one in _pools if one.is_closed()]:
            del _pools[closed]
        pool = _pools[loop] = _Pool()
    shared, superseded = pool.acquire(spec)
    try:
        if superseded:
            await pool.close_unused(superseded)
        yield shared.provider
    finally:
        await pool.release(shared)


def _build(spec: ProviderSpec) -> Provider:
    try:
        return registry.build(spec)
    except ImproperlyConfigured as error:
        raise ChatNotConfigured(str(error)) from error
