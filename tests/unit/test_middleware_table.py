"""What of Django's own middleware waits for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from waldur_chat.asgi import middleware_table


def respond(request: Any) -> HttpResponse:
    return HttpResponse()


class Session:
    """A session as its middleware leaves it."""

    def __init__(self, *, modified: bool) -> None:
        self.modified = modified


class Messages:
    """The messages of a request as their middleware leaves them."""

    def __init__(self, *, used: bool = False, added_new: bool = False) -> None:
        self.used = used
        self.added_new = added_new


@pytest.mark.parametrize(
    ("kind", "method", "change", "waits"),
    [
        ("sessions.middleware.SessionMiddleware", "process_response", {}, False),
        ("sessions.middleware.SessionMiddleware", "process_response", {"session": Session(modified=False)}, False),
        ("sessions.middleware.SessionMiddleware", "process_response", {"session": Session(modified=True)}, True),
        ("messages.middleware.MessageMiddleware", "process_response", {}, False),
        ("messages.middleware.MessageMiddleware", "process_response", {"_messages": Messages()}, False),
        ("messages.middleware.MessageMiddleware", "process_response", {"_messages": Messages(used=True)}, True),
        ("messages.middleware.MessageMiddleware", "process_response", {"_messages": Messages(added_new=True)}, True),
    ],
)
def test_what_may_store_something_waits_for_nothing_only_where_nothing_has_changed(
    kind: str, method: str, change: dict[str, object], waits: bool
) -> None:
    request = RequestFactory().get("/")
    vars(request).update(change)
    assert middleware_table.NONBLOCKING[(f"django.contrib.{kind}", method)](request, HttpResponse()) is not waits


def test_the_sessions_that_are_saved_at_every_request_are_saved_in_a_thread(settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    waits_for_nothing = middleware_table.NONBLOCKING[
        ("django.contrib.sessions.middleware.SessionMiddleware", "process_response")
    ]
    assert not waits_for_nothing(RequestFactory().get("/"), HttpResponse())


def test_a_view_without_protection_from_forgery_is_let_pass_at_once() -> None:
    waits_for_nothing = middleware_table.NONBLOCKING[("django.middleware.csrf.CsrfViewMiddleware", "process_view")]
    request = RequestFactory().post("/")
    assert not waits_for_nothing(request, respond, (), {})

    def exempt(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    exempt.csrf_exempt = True  # type: ignore[attr-defined]
    assert waits_for_nothing(request, exempt, (), {})
