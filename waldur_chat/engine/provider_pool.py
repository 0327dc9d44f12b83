"""Keeps providers, and with them their connections, between turns: one of each on every event loop.

A provider's connections belong to the loop they were opened on, so nothing is shared between loops. When settings
change, the next turn gets a new provider; the old one is closed when its last turn ends. All are closed with their
loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry
from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.engine.breaker import Breaker
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.providers.base import Provider

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class PooledProvider:
    """A provider that turns share, and the breaker that watches it. New settings mean a new one of both."""

    pool: _Pool
    spec: ProviderSpec
    provider: Provider
    breaker: Breaker = field(default_factory=Breaker)
    turns: int = 0

    @contextmanager
    def guarded(self, settings: Settings) -> Iterator[None]:
        """An attempt. Raises `ProviderUnavailable` where there must be none; what it raises, the breaker counts."""
        is_probe = self.breaker.enter(settings)
        failed: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failed = error
            raise
        finally:
            self.breaker.leave(settings, failed, is_probe=is_probe)

    async def release(self) -> None:
        """The attempt and what became of it is over."""
        self.turns -= 1
        await self.pool.close_unused(self)


class _Pool:
    """The providers of one loop, by name."""

    def __init__(self) -> None:
        self._providers: dict[str, PooledProvider] = {}
        self._closer = asyncio.get_running_loop().create_task(self._close_with_the_loop())

    def acquire(self, spec: ProviderSpec) -> tuple[PooledProvider, PooledProvider | None]:
        """What the settings name, counted as used, and what it took the place of."""
        superseded = self._providers.get(spec.name)
        if superseded is None or superseded.spec != spec:
            pooled = self._providers[spec.name] = PooledProvider(pool=self, spec=spec, provider=_build(spec))
        else:
            pooled, superseded = superseded, None
        pooled.turns += 1
        return pooled, superseded

    async def close_unused(self, pooled: PooledProvider) -> None:
        """Close a provider that nobody uses any more; the turn that notices it does not suffer when that fails."""
        if not pooled.turns and self._providers.get(pooled.spec.name) is not pooled:
            try:
                await pooled.provider.aclose()
            except Exception as error:
                logger.warning("A provider could not be closed: %s", type(error).__name__)

    async def _close_with_the_loop(self) -> None:
        """Wait for what `asyncio.run` and the servers do last to a loop: cancel the tasks that are left."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            closing = [pooled.provider.aclose() for pooled in self._providers.values()]
            await asyncio.gather(*closing, return_exceptions=True)
            _pools.pop(asyncio.get_running_loop(), None)  # The task of this pool holds the loop: nothing else frees it.
            raise


_pools: dict[asyncio.AbstractEventLoop, _Pool] = {}


async def acquire(spec: ProviderSpec) -> PooledProvider:
    """The provider of these settings, for one attempt and what becomes of it; then it must be released.

    Raises `ChatNotConfigured` where they do not work.
    """
    pooled, superseded = _pool_of_loop().acquire(spec)
    if superseded:
        try:
            await pooled.pool.close_unused(superseded)
        except BaseException:
            await pooled.release()
            raise
    return pooled


def _pool_of_loop() -> _Pool:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        for one in list(_pools):  # Other threads may do the same at once.
            if one.is_closed():
                _pools.pop(one, None)
        pool = _pools[loop] = _Pool()
    return pool


def _build(spec: ProviderSpec) -> Provider:
    try:
        return registry.build(spec)
    except ImproperlyConfigured as error:
        raise ChatNotConfigured(str(error)) from error
