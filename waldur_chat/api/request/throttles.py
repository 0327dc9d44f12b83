"""Limits on the rate of requests: DRF's, with scopes of our own, and the headers that tell clients of all limits.

The headers are `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Protocol

from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from waldur_chat import users
from waldur_chat.errors import BudgetExhausted, TooManyTurns

logger = logging.getLogger(__name__)


class Limit(Protocol):
    """What limits a user, as far as headers tell of it."""

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The fields of the response's head."""


SCOPES = ("chat_invoke", "chat_stream")


def rates() -> dict[str, Any]:
    """The host's rates for our scopes, where it has any."""
    given = api_settings.DEFAULT_THROTTLE_RATES or {}
    return {scope: given[scope] for scope in SCOPES if given.get(scope) is not None}


class ChatRateThrottle(SimpleRateThrottle):
    """Limits a user's rate in the scope of the action, as `chat_stream`, where `DEFAULT_THROTTLE_RATES` has one for it.

    An anonymous user has the rate of the address. A cache that fails limits nothing: an answer is worth more than a
    count. A subclass may have a `scope` or a `rate` of its own.
    """

    num_requests: int
    duration: int
    history: list[float]

    scope: str | None = None

    def get_rate(self) -> Any:
        """See SimpleRateThrottle.get_rate(). DRF's own knows the rates of the start, and fails without one."""
        return rates().get(self.scope or "")

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """See SimpleRateThrottle.get_cache_key()."""
        ident = request.user.pk if users.is_known(request.user) else _fingerprint(self.get_ident(request))
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: APIView) -> bool:
        """See SimpleRateThrottle.allow_request()."""
        if self.scope is None:
            self.scope = f"chat_{getattr(view, 'action', '')}"
            self.rate = self.rate or self.get_rate()
            self.num_requests, self.duration = self.parse_rate(self.rate)  # type: ignore[assignment]  # None without one.
        try:
            return bool(super().allow_request(request, view))
        except Exception as error:  # Every cache has errors of its own.
            logger.error("The rate of requests is not limited, since the cache fails: %s", type(error).__name__)
            self.rate = None
            return True

    def _free_in(self) -> float:
        """Seconds until a request has room; more than one must go where the rate was lowered."""
        if not self.history:
            return self.duration
        return self.duration - (self.now - self.history[min(self.num_requests, len(self.history)) - 1])

    def wait(self) -> float:
        """See SimpleRateThrottle.wait(). DRF's own knows none where the rate was lowered."""
        return self._free_in()

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """What is left to the user, and the rule; empty where nothing is limited."""
        if self.rate is None or not hasattr(self, "history"):
            return {}
        left = max(0, self.num_requests - len(self.history))
        reset = math.ceil(self._free_in())
        return {
            "RateLimit": f'"{self.scope}";r={left};t={reset}',
            "RateLimit-Policy": f'"{self.scope}";q={self.num_requests};w={self.duration}',
        }


def throttle_classes() -> list[Any]:
    """Ours, and what else the host limits by."""
    return [ChatRateThrottle, *api_settings.DEFAULT_THROTTLE_CLASSES]


def _fingerprint(address: str | None) -> str:
    """What stands for an address, which a client may have made up of anything (`X-Forwarded-For`)."""
    return sha256(str(address).encode()).hexdigest()


class TurnLimit:
    """The limit on a user's running turns, as far as headers tell of it."""

    def __init__(self, turns: int) -> None:
        self._turns = turns

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The rule; and to whom nothing is left, that."""
        headers = {"RateLimit-Policy": f'"turns";q={self._turns};qu="concurrent-requests"'}
        if isinstance(refusal, APIException) and refusal.get_codes() == TooManyTurns.code:
            headers["RateLimit"] = f'"turns";r=0;t={getattr(refusal, "wait", 1)}'
        return headers


class TokenBudget:
    """The limit on a user's or the site's tokens, of which headers tell where it refused a request."""

    SECONDS = {"daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}

    def headers(self, refusal: Exception | None) -> dict[str, str]:
        """The rule, and that not enough is left."""
        error = getattr(refusal, "error", None)
        if not isinstance(error, BudgetExhausted):
            return {}
        name = f"{error.scope}-tokens-{error.period}"
        return {
            "RateLimit": f'"{name}";r=0;t={error.retry_after}',
            "RateLimit-Policy": f'"{name}";q={error.limit};w={self.SECONDS[error.period]};qu="tokens"',
        }


def limit_headers(limits: Iterable[Limit], refusal: Exception | None) -> dict[str, str]:
    """Several limits in one field of each name, as the items of a list."""
    items: dict[str, list[str]] = {}
    for limit in limits:
        for name, item in limit.headers(refusal).items():
            items.setdefault(name, []).append(item)
    return {name: ", ".join(values) for name, values in items.items()}
