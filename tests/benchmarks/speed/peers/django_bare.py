"""A bare Django ASGI view and aiohttp: the provider's bytes passed through.

Lean: tokens in a dictionary and no middleware. With BARE_STOCK set: Django's usual middleware, tokens by the ORM.
"""

import json
import os
from collections.abc import AsyncIterator

import aiohttp
import django_host
from django.core.asgi import get_asgi_application
from django.urls import path

STOCK = bool(os.environ.get("BARE_STOCK"))
TOKEN = "0123456789abcdef0123456789abcdef01234567"

django_host.configure(__name__, django_host.MIDDLEWARE if STOCK else [])

from django.http import HttpResponse, StreamingHttpResponse  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

sessions: list[aiohttp.ClientSession] = []


async def is_known(key: str) -> bool:
    return await Token.objects.select_related("user").filter(key=key).aexists() if STOCK else key == TOKEN


@csrf_exempt
async def stream(request):
    if not await is_known(request.headers["Authorization"].removeprefix("Token ")):
        return HttpResponse(status=401)
    return StreamingHttpResponse(answer(json.loads(request.body)["input"]), content_type="text/event-stream")


async def answer(question: str) -> AsyncIterator[bytes]:
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}
    async with sessions[0].post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", json=body) as response:
        async for piece in response.content.iter_any():
            yield piece


urlpatterns = [path("stream", stream)]
asgi = get_asgi_application()
