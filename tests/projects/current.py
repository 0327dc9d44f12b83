"""The request of this thread, as many hosts keep it for their signals."""

import threading
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_kept = threading.local()


class CurrentRequestMiddleware:
    """Keeps the request of the thread, and clears it in the end."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _kept.request = request
        try:
            return self.get_response(request)
        finally:
            del _kept.request


def request() -> HttpRequest | None:
    """The request, within one."""
    return getattr(_kept, "request", None)


def user(of: HttpRequest) -> str:
    """The name of the user whom DRF or Django has found."""
    return str(of.user.get_username()) if hasattr(of, "user") else ""
