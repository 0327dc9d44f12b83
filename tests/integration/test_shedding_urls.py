"""The door counts chat requests wherever the site's URLs and middleware have put them."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.wsgi import get_wsgi_application
from django.test.client import AsyncRequestFactory, RequestFactory
from django.urls import include, path
from django.utils.translation import override

from tests.integration.conftest import JSON, Caller
from tests.integration.customized import answering, urls
from waldur_chat import shedding
from waldur_chat.api.request import chat_paths

STREAM = "/api/chat/stream/"


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_paths, "_known", set())


def is_counted(where: str, **scope: Any) -> tuple[bool, bool]:
    """Whether a request to this path is counted, under WSGI and under ASGI."""
    environ = RequestFactory().post(where.removeprefix(scope.get("root_path", "")), b"", JSON).environ
    asgi = {**AsyncRequestFactory().post(where, b"", JSON).scope, **scope}
    return shedding._is_chat("POST", "testserver", environ["PATH_INFO"]), shedding._is_chat_scope(asgi)


@pytest.mark.parametrize("prefix_default_language", [True, False])
@pytest.mark.parametrize("active", ["en", "de"])
def test_with_a_language_in_the_path(settings: Any, prefix_default_language: bool, active: str) -> None:
    patterns = i18n_patterns(path("api/", include("waldur_chat.urls")), prefix_default_language=prefix_default_language)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": patterns})
    with override(active):  # What an earlier request has left in this thread.
        assert is_counted(f"/de{STREAM}") == (True, True)
        assert is_counted(f"/en{STREAM}" if prefix_default_language else STREAM) == (True, True)
        assert is_counted(f"/de{STREAM}nowhere/") == (False, False)


def test_below_a_script_name(settings: Any) -> None:
    assert is_counted(f"/site{STREAM}", root_path="/site") == (True, True)
    settings.FORCE_SCRIPT_NAME = "/forced"
    assert shedding._is_chat_scope({"method": "POST", "headers": [], "path": f"/forced{STREAM}"})


class OwnUrls:
    """Middleware of the site's that chooses the URLs by the host."""

    URLS = urls({})

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.urlconf = self.URLS
        return self.get_response(request)


def test_where_middleware_chooses_the_urls(call: Caller, settings: Any) -> None:
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": []})
    settings.MIDDLEWARE = [f"{__name__}.OwnUrls"]
    answering(settings, "Hello")
    host = "testserver" if call.colour == "asgi" else ""  # Django's client for WSGI sends none.
    assert not shedding._is_chat("POST", host, STREAM)
    assert call.stream().status == 200
    assert shedding._is_chat("POST", host, STREAM)
    assert not shedding._is_chat("POST", "other.example.com", STREAM)


def test_only_so_many_paths_are_kept(rf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_paths, "MOST", 2)
    for number in range(3):
        request = rf.post(f"/{number}/")
        request.urlconf = OwnUrls.URLS
        chat_paths.remember(request)
    assert [chat_paths.is_known("", f"/{number}/") for number in range(3)] == [False, False, True]


def test_a_site_is_served_through_the_door_all_the_same(settings: Any, db: None) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    told: list[str] = []
    environ = RequestFactory().post(STREAM, b"{}", JSON).environ
    response = shedding.wsgi(get_wsgi_application())(environ, lambda status, headers: told.append(status))
    assert (told, b"".join(response) != b"") == (["401 Unauthorized"], True)
