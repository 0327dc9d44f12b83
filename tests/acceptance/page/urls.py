"""A small host for the tests of the chat page: the page for visitors, the same for a signed-in user, static files;
below kept/ that of a server which keeps conversations."""

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


def answered_before(request: HttpRequest) -> HttpResponse:
    raise AssertionError("PageServer answers this address before Django sees it")


urlpatterns = [
    path("", include("waldur_chat.page_urls")),
    path("signed-in/", signed_in),
    path("small/", ChatPage.as_view(input_max_length=40)),
    path("kept/", ChatPage.as_view(stream_view_name="kept-stream")),
    path("kept-small/", ChatPage.as_view(stream_view_name="kept-stream", input_max_length=40)),
    path("api/chat/stream/", answered_before, name="chat-stream"),
    path("api/kept/stream/", answered_before, name="kept-stream"),
    path("api/kept/turns/<uuid>/events/", answered_before, name="kept-events"),
    path("api/kept-threads/", answered_before, name="kept-threads-list"),
    path("api/kept-messages/", answered_before, name="kept-messages-list"),
    path("api/kept-tool-calls/", answered_before, name="kept-tool-calls-list"),
    path("api/kept-quota/usage/", answered_before, name="kept-quota-usage"),
    path("static/<path:path>", serve, {"document_root": STATIC}),
]
