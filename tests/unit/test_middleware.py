"""Chat requests that came through the door are led through Django's own middleware without asgiref."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import path

from tests.unit.handled import ask
from waldur_chat.asgi.middleware import install

pytestmark = pytest.mark.usefixtures("with_shortcuts")

EXEMPT = "/exempt/"
STOCK = {
    "django.middleware.security.SecurityMiddleware": ["process_request", "process_response"],
    "django.contrib.sessions.middleware.SessionMiddleware": ["process_request", "process_response"],
    "django.middleware.locale.LocaleMiddleware": ["process_request", "process_response"],
    "django.middleware.common.CommonMiddleware": ["process_request", "process_response"],
    "django.middleware.csrf.CsrfViewMiddleware": ["process_request", "process_view", "process_response"],
    "django.contrib.auth.middleware.AuthenticationMiddleware": ["process_request"],
    "django.contrib.messages.middleware.MessageMiddleware": ["process_request", "process_response"],
    "django.middleware.clickjacking.XFrameOptionsMiddleware": ["process_response"],
}


class Own(CsrfViewMiddleware):
    """One of the site's, which may do anything."""


async def exempt(request: HttpRequest) -> HttpResponse:
    """A view."""
    return HttpResponse("seen")


exempt.csrf_exempt = True  # type: ignore[attr-defined]


async def guarded(request: HttpRequest) -> HttpResponse:
    """A view that is protected from forgery."""
    return HttpResponse("seen")


urlpatterns = [path("exempt/", exempt), path("guarded/", guarded)]


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = list(STOCK)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of middleware that asgiref is asked to call, while a test runs."""
    found: list[str] = []
    call = SyncToAsync.__call__

    async def noted(self: SyncToAsync[Any, Any], *args: Any, **kwargs: Any) -> Any:
        if self.func.__name__.startswith("process_"):
            found.append(f"{type(self.func.__self__).__name__}.{self.func.__name__}")
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", noted)
    return found


def test_the_way_through_the_door_spares_asgiref(taken: list[str]) -> None:
    status, head = ask(EXEMPT)
    assert (status, taken) == (200, [])
    assert head[b"X-Frame-Options"] == b"DENY"
    assert b"X-Content-Type-Options" in head
    assert b"Accept-Language" in head[b"Vary"]


def test_other_requests_take_the_way_they_took(taken: list[str]) -> None:
    assert ask(EXEMPT, through_door=False)[0] == 200
    assert sorted(taken) == sorted(f"{name.rpartition('.')[2]}.{each}" for name, all_ in STOCK.items() for each in all_)


def test_both_ways_lead_to_the_same() -> None:
    assert ask(EXEMPT) == ask(EXEMPT, through_door=False)


def test_middleware_of_the_site_is_left_as_it_is(taken: list[str], settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.Own", *STOCK]
    assert ask(EXEMPT)[0] == 200
    assert taken == ["Own.process_request", "Own.process_view", "Own.process_response"]


def test_what_may_wait_this_time_goes_to_a_thread(taken: list[str], settings: Any) -> None:
    settings.CSRF_USE_SESSIONS = True
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert ask(EXEMPT)[0] == 200
    assert taken == ["CsrfViewMiddleware.process_request", "CsrfViewMiddleware.process_response"]


def test_what_looks_at_a_guarded_view_goes_to_a_thread(taken: list[str]) -> None:
    assert ask("/guarded/")[0] == 403
    assert taken == ["CsrfViewMiddleware.process_view"]


def test_middleware_that_answers_itself_is_the_last(settings: Any, taken: list[str]) -> None:
    settings.SECURE_SSL_REDIRECT = True
    status, head = ask(EXEMPT)
    assert (status, head[b"Location"], taken) == (301, b"https://localhost/exempt/", [])


def test_middleware_that_does_not_say_what_it_has_inside_is_as_far_as_it_goes(taken: list[str], settings: Any) -> None:
    settings.MIDDLEWARE = [*list(STOCK)[:-1], f"{__name__}.function", list(STOCK)[-1]]
    assert ask(EXEMPT)[0] == 200
    assert taken == ["XFrameOptionsMiddleware.process_response"]


def function(get_response: Any) -> Any:
    """Middleware as a function; it is asynchronous."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = await get_response(request)
        return response

    return middleware


function.async_capable, function.sync_capable = True, False  # type: ignore[attr-defined]


def test_what_is_no_handler_of_django_is_left_as_it_is() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        """Something else."""

    install(application)
    assert not vars(application)
