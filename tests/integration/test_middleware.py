"""Streams pass through what hosts put around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.utils.decorators import sync_only_middleware

from tests.integration.conftest import Caller
from waldur_chat.errors import ProviderFailed
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core


@sync_only_middleware
def sync_only(get_response: Callable[[Any], HttpResponseBase]) -> Callable[[Any], HttpResponseBase]:
    """Middleware of the old kind: under ASGI Django runs it in a thread."""

    def middleware(request: Any) -> HttpResponseBase:
        response = get_response(request)
        response["X-Seen"] = "yes"
        return response

    return middleware


class Rewriting:
    """Middleware that puts an iterator of its own around every stream."""

    def __init__(self, get_response: Callable[[Any], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        response = self.get_response(request)
        if response.streaming and not response.is_async:
            response.streaming_content = (piece.upper() for piece in response.streaming_content)
        elif response.streaming:
            response.streaming_content = self._rewritten(response.streaming_content)
        return response

    async def _rewritten(self, pieces: Any) -> Any:
        async for piece in pieces:
            yield piece.upper()


class ExpectingTemplates:
    """Middleware that looks at what templates are given."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_template_response(self, request: Any, response: Any) -> Any:
        if response.context_data is not None:
            response.context_data["seen"] = True
        return response


@pytest.fixture(params=["stream", "invoke"])
def operation(request: pytest.FixtureRequest) -> str:
    """Both operations."""
    return str(request.param)


@pytest.mark.parametrize("steps", [("Hello",), (ProviderFailed(),)])
@pytest.mark.parametrize("name", ["sync_only", "ExpectingTemplates"])
def test_middleware_of_the_host_does_no_harm(
    call: Caller, settings: Any, operation: str, steps: tuple[Any, ...], name: str
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{name}", *settings.MIDDLEWARE]
    with scripted(*steps):
        reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    assert reply.status == (200 if steps == ("Hello",) else 502)


def test_streams_are_not_compressed(call: Caller, settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    with scripted("Hello " * 100):
        reply = call.stream(Accept="text/plain", Accept_Encoding="gzip")
    assert (reply.headers["Content-Encoding"], reply.body) == ("identity", b"Hello " * 100)


def test_middleware_may_rewrite_a_stream(call: Caller, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Rewriting"]
    with scripted("Hello", " world") as provider:
        assert call.stream(Accept="text/plain").body == b"HELLO WORLD"
    assert provider.closed == 1
