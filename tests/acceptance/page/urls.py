"""A small host for the tests of the chat page: the page for visitors, the same for a signed-in user, static files."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import include, path
from django.views.static import serve

import waldur_chat
from waldur_chat.page import ChatPage

STATIC = Path(waldur_chat.__file__).parent / "static"


def signed_in(request: HttpRequest) -> HttpResponseBase:
    request.user = cast(AnonymousUser, SimpleNamespace(is_authenticated=True))
    return ChatPage.as_view()(request)


def stream(request: HttpRequest) -> HttpResponse:
    raise AssertionError("PageServer answers this address before Django sees it")


urlpatterns = [
    path("", include("waldur_chat.page_urls")),
    path("signed-in/", signed_in),
    path("small/", ChatPage.as_view(input_max_length=40)),
    path("api/chat/stream/", stream, name="chat-stream"),
    path("static/<path:path>", serve, {"document_root": STATIC}),
]
