"""Keeps providers and their connections between turns: one pool on every event loop.

A provider's connections are bound to the loop on which they were opened, so loops share nothing. When settings change,
the next turn gets a new provider, and the old one is closed after its last turn. All are closed with their loop.
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
from waldur_chat.metrics import observer
from waldur_chat.providers.base import Provider
from waldur_chat.providers.context_window import ContextWindow

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class PooledProvider:
    """A provider that turns share, its circuit breaker and its context. Changed settings replace all three."""

    pool: _Pool
    spec: ProviderSpec
    provider: Provider
    breaker: Breaker = field(default_factory=Breaker)
    turns: int = 0
    context: ContextWindow = field(init=False)

    def __post_init__(self) -> None:
        self.context = ContextWindow(self.provider)

    @contextmanager
    def guarded(self, settings: Settings) -> Iterator[None]:
        """Run an attempt, whose error the breaker counts. Raises `ProviderUnavailable` if the breaker is open."""
        is_probe, was_open = self.breaker.enter(settings), self.breaker.is_open
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            self.breaker.leave(settings, failure, is_probe=is_probe)
            if self.breaker.is_open != was_open:
                observer().breaker_changed(self.spec.name, self.breaker, is_open=self.breaker.is_open)

    async def release(self) -> None:
        """Return the provider after an attempt and its stream have ended."""
        self.turns -= 1
        await self.pool.close_unused(self)


class _Pool:
    """The providers of one loop, by name."""

    def __init__(self) -> None:
        self._providers: dict[str, PooledProvider] = {}
        self._closer = asyncio.get_running_loop().create_task(self._close_with_loop())

    def refusing(self) -> set[str]:
        """The names of providers whose breaker refuses the next attempt. Called from any thread."""
        return {name for name, pooled in list(self._providers.items()) if pooled.breaker.refuses}

    def acquire(self, spec: ProviderSpec) -> tuple[PooledProvider, PooledProvider | None]:
        """Return the provider of these settings, counted as used, and the provider that it replaces, if any."""
        superseded = self._providers.get(spec.name)
        if superseded is None or superseded.spec != spec:
            pooled = self._providers[spec.name] = PooledProvider(pool=self, spec=spec, provider=_build(spec))
        else:
            pooled, superseded = superseded, None
        pooled.turns += 1
        return pooled, superseded

    async def close_unused(self, pooled: PooledProvider) -> None:
        """Close a provider that was replaced and is unused. A failure is only logged: the turn has no part in it."""
        if not pooled.turns and self._providers.get(pooled.spec.name) is not pooled:
            try:
                await pooled.provider.aclose()
            except Exception as error:
                logger.warning("A provider could not be closed: %s", type(error).__name__)

    async def _close_with_loop(self) -> None:
        """Close the providers when `asyncio.run()` or the server cancels the remaining tasks of the loop."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            closing = [pooled.provider.aclose() for pooled in self._providers.values()]
            await asyncio.gather(*closing, return_exceptions=True)
            # This pool's task refers to the loop, so a weak dictionary would never drop it.
            _pools.pop(asyncio.get_running_loop(), None)
            raise


_pools: dict[asyncio.AbstractEventLoop, _Pool] = {}


def refusing_providers() -> set[str]:
    """The names of providers whose circuit breaker, on any event loop of this process, refuses the next attempt."""
    # A copy: other threads may change the dictionary.
    pools = [pool for loop, pool in list(_pools.items()) if not loop.is_closed()]
    return {name for pool in pools for name in pool.refusing()}


async def acquire(spec: ProviderSpec) -> PooledProvider:
    """Return the provider of these settings for one attempt and its stream; it must be released.

    Raises `ChatNotConfigured` if the settings are wrong.
    """
    pooled, superseded = _pool_of_loop().acquire(spec)
    if superseded:
        try:
            await pooled.pool.close_unused(superseded)
        # Cancelled while the old provider closes: the new one would count as used forever.
        except BaseException:
            await pooled.release()
            raise
    return pooled


def _pool_of_loop() -> _Pool:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        for one in list(_pools):  # A copy: other threads may change the dictionary.
            if one.is_closed():
                _pools.pop(one, None)
        pool = _pools[loop] = _Pool()
    return pool


def _build(spec: ProviderSpec) -> Provider:
    try:
        return registry.build(spec)
    except ImproperlyConfigured as error:
        raise ChatNotConfigured(str(error)) from error
