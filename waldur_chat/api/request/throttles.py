"""DRF throttles with scopes of this API, and response headers that describe all limits of a user.

The headers are `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Protocol

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from waldur_chat import users
from waldur_chat.errors import BudgetExhausted, TooManyTurns
from waldur_chat.runtime import tenants

logger = logging.getLogger(__name__)


class Limit(Protocol):
    """A limit that response headers describe."""

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The headers for this limit. `refusal` is the error of the response, if there is one."""


SCOPES = ("chat_invoke", "chat_stream", "chat_execute")


def rates() -> dict[str, Any]:
    """The rates that the host has set for the scopes of this API."""
    host_rates = api_settings.DEFAULT_THROTTLE_RATES or {}
    return {scope: host_rates[scope] for scope in SCOPES if host_rates.get(scope) is not None}


class ChatRateThrottle(SimpleRateThrottle):
    """Limits a user's requests by the scope of the action (`chat_stream`), if the host has set a rate for it.

    Anonymous users are counted by address, users who are no rows by their key, and users of each tenant apart, since
    the tenants of a host share its cache. If the cache fails, nothing is limited: an outage of the cache should not be
    one of the chat. A subclass may set a `scope` or a `rate` of its own.
    """

    num_requests: int
    duration: int
    history: list[float]

    scope: str | None = None

    def get_rate(self) -> Any:
        """The rate, None for no limit. DRF's method uses the settings at import time, and raises without a rate."""
        return rates().get(self.scope or "")

    def get_cache_key(self, request: Request, view: APIView) -> str:
        ident = tenants.qualified(str(self._ident_of_user(request)), tenants.current())
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def _ident_of_user(self, request: Request) -> Any:
        user = request.user
        if users.is_known(user):
            return user.pk
        if getattr(user, "is_authenticated", False) and getattr(user, "pk", None) is not None:
            return _fingerprint(f"{type(user).__qualname__} {user.pk}")
        return _fingerprint(self.get_ident(request))

    def allow_request(self, request: Request, view: APIView) -> bool:
        if self.scope is None:
            self.scope = f"chat_{getattr(view, 'action', '')}"
            self.rate = self.rate or self.get_rate()
            self.num_requests, self.duration = self.parse_rate(self.rate)  # type: ignore[assignment]  # None without one.
        try:
            return bool(super().allow_request(request, view))
        except Exception as error:  # Each cache backend has error classes of its own.
            logger.error("The rate of requests is not limited, since the cache fails: %s", type(error).__name__)
            self.rate = None
            return True

    def _free_in(self) -> float:
        """Seconds until the next request is allowed. After the rate was lowered, several entries must expire first."""
        if not self.history:
            return self.duration
        return self.duration - (self.now - self.history[min(self.num_requests, len(self.history)) - 1])

    def wait(self) -> float:
        """Seconds until the next request is allowed. DRF's method returns None after the rate was lowered."""
        return self._free_in()

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The remaining requests and the policy; empty if nothing is limited."""
        if self.rate is None or not hasattr(self, "history"):
            return {}
        left = max(0, self.num_requests - len(self.history))
        reset = math.ceil(self._free_in())
        return {
            "RateLimit": f'"{self.scope}";r={left};t={reset}',
            "RateLimit-Policy": f'"{self.scope}";q={self.num_requests};w={self.duration}',
        }


def throttle_classes() -> list[Any]:
    """`ChatRateThrottle`, and the host's default throttles."""
    return [ChatRateThrottle, *api_settings.DEFAULT_THROTTLE_CLASSES]


def _fingerprint(address: str | None) -> str:
    """A hash of the address. A client can put any text into `X-Forwarded-For`, which is not safe in a cache key."""
    return sha256(str(address).encode()).hexdigest()


class TurnLimit:
    """The limit on a user's running turns (`TURNS_PER_USER`)."""

    def __init__(self, turns: int) -> None:
        self._turns = turns

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The policy; if the turn was refused because of it, also that nothing is left."""
        headers = {"RateLimit-Policy": f'"turns";q={self._turns};qu="concurrent-requests"'}
        if isinstance(getattr(refusal, "error", None), TooManyTurns):
            headers["RateLimit"] = f'"turns";r=0;t={getattr(refusal, "wait", 1)}'
        return headers


class TokenBudget:
    """The limit on tokens of a user or the site, described only if it refused the request."""

    SECONDS = {"daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The policy, and that not enough is left; empty unless the budget refused the request."""
        error = getattr(refusal, "error", None)
        if not isinstance(error, BudgetExhausted):
            return {}
        name = f"{error.scope}-tokens-{error.period}"
        return {
            "RateLimit": f'"{name}";r=0;t={error.retry_after}',
            "RateLimit-Policy": f'"{name}";q={error.limit};w={self.SECONDS[error.period]};qu="tokens"',
        }


def limit_headers(limits: Iterable[Limit], refusal: Exception | None) -> dict[str, str]:
    """The headers for all limits. Each header is a list with one item per limit (RFC 9651)."""
    items: dict[str, list[str]] = {}
    for limit in limits:
        for name, item in limit.headers(refusal).items():
            items.setdefault(name, []).append(item)
    return {name: ", ".join(values) for name, values in items.items()}
