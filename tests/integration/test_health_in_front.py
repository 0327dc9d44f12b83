"""Health and readiness in front of Django, where `shedding` answers; the rest is left to the views."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path
from rest_framework.routers import DefaultRouter, SimpleRouter

from tests.integration.customized import urls
from tests.unit.aio import run
from waldur_chat import shedding
from waldur_chat.api.routing import register
from waldur_chat.api.views.health import HealthViewSet, ReadyViewSet
from waldur_chat.health import database

HEALTH, READY = "/api/chat/health/", "/api/chat/ready/"
Answer = tuple[int, dict[str, str], bytes]
STAND_IN = Path(__file__).resolve().parent.parent / "waldur"


class Front:
    """Asks an application behind the load shedder; `inside` counts what reached the application."""

    def __init__(self, colour: str) -> None:
        self.colour, self.inside = colour, 0
        self._asgi, self._wsgi = shedding.asgi(self._inside_asgi), shedding.wsgi(self._inside_wsgi)

    def get(self, where: str, query: str = "", method: str = "GET", root: str = "", **headers: str) -> Answer:
        """Status, headers and body; 418 is the application's."""
        return (self._get_asgi if self.colour == "asgi" else self._get_wsgi)(where, query, method, root, headers)

    def _get_asgi(self, where: str, query: str, method: str, root: str, headers: dict[str, str]) -> Answer:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        given = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http", "method": method, "path": f"{root}{where}", "root_path": root, "headers": given,
            "query_string": query.encode(),
        }  # fmt: skip
        run(self._asgi(scope, None, send))
        start, *body = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], told, b"".join(one["body"] for one in body)

    def _get_wsgi(self, where: str, query: str, method: str, root: str, headers: dict[str, str]) -> Answer:
        told: list[Any] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": where, "QUERY_STRING": query, "SCRIPT_NAME": root}
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        body = b"".join(self._wsgi(environ, lambda *start: told.extend(start)))
        return int(told[0].split()[0]), {name.lower(): value for name, value in told[1]}, body

    async def _inside_asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        await send({"type": "http.response.start", "status": 418, "headers": []})

    def _inside_wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        self.inside += 1
        start_response("418 I'm a teapot", [])
        return []


@pytest.fixture(params=["wsgi", "asgi"])
def front(request: pytest.FixtureRequest, transactional_db: None) -> Front:
    """The front under each kind of server."""
    return Front(request.param)


def test_health_is_answered_whatever_credentials_there_are(front: Front) -> None:
    status, headers, body = front.get(HEALTH, authorization="Token wrong", x_request_id="r-1")
    assert (status, json.loads(body), front.inside) == (200, {"status": "alive"}, 0)
    assert headers == {
        "content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store",
        "x-request-id": "r-1",
    }  # fmt: skip


def test_an_answer_is_put_together_once_for_all_who_ask_at_once(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waldur_chat.health.report.ANSWER_SECONDS", 60.0)
    first = front.get(READY)
    monkeypatch.setattr("waldur_chat.health.report.database_looks", None)
    assert [front.get(READY)[::2] for _ in range(3)] == [first[::2]] * 3


def test_readiness_is_what_the_view_says(front: Front, client: Any) -> None:
    status, headers, body = front.get(READY)
    assert (status, front.inside) == (200, 0)
    assert body == client.get(READY).content
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize(("query", "status"), [("", 200), ("strict=1", 503), ("a=b&strict=1", 503), ("strict=0", 200)])
def test_strict_is_read(front: Front, settings: Any, query: str, status: int) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {}}
    assert front.get(READY, query)[0] == status


def test_a_database_that_is_down_is_told(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_own_connection", None)
    status, _, body = front.get(READY)
    assert (status, json.loads(body)["checks"]["database"], front.inside) == (503, "down", 0)


@pytest.mark.parametrize("credentials", [{"authorization": "Token a"}, {"cookie": "sessionid=a"}])
def test_with_credentials_readiness_is_left_to_the_view(front: Front, credentials: dict[str, str]) -> None:
    assert (front.get(READY, **credentials)[0], front.inside) == (418, 1)


@pytest.mark.parametrize("where", [HEALTH, READY])
def test_head_has_no_body(front: Front, where: str) -> None:
    status, headers, body = front.get(where, method="HEAD")
    assert (status, body, int(headers["content-length"]) > 0) == (200, b"", True)


@pytest.mark.parametrize(
    ("where", "method"), [("/health/", "GET"), ("/other/ready/", "GET"), (HEALTH, "POST"), ("/api/schema/", "GET")]
)
def test_other_requests_are_let_through(front: Front, where: str, method: str) -> None:
    assert front.get(where, method=method)[0] == 418


def test_a_path_below_a_script_name_is_found(front: Front) -> None:
    assert front.get(HEALTH, root="/below")[0] == 200


@pytest.mark.parametrize("prefix", ["llm-chat", "ai/chat"])
def test_the_prefix_is_the_apis(front: Front, settings: Any, prefix: str) -> None:
    router = SimpleRouter()
    register(router, prefix)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("api/", include(router.urls))]})
    assert [front.get(f"/api/{prefix}/{name}/")[0] for name in ("health", "ready")] == [200, 200]
    assert front.get(HEALTH)[0] == 418


def test_with_a_language_in_the_path(front: Front, settings: Any) -> None:
    patterns = i18n_patterns(path("api/", include("waldur_chat.urls")))
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": patterns})
    assert [front.get(f"/{language}{READY}")[0] for language in ("en", "de", "xx")] == [200, 200, 418]


def test_a_viewset_of_the_sites_answers_for_itself(front: Front, settings: Any) -> None:
    own = {"health": type("Own", (HealthViewSet,), {}), "ready": type("OwnReady", (ReadyViewSet,), {})}
    settings.ROOT_URLCONF = urls(own)
    assert [front.get(where)[0] for where in (HEALTH, READY)] == [418, 418]


@pytest.fixture
def waldur(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """A stand-in for Waldur, whose router the plugin has registered the API in."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setattr(apps.get_app_config("waldur_chat"), "problem", "")
    from waldur_chat.extension import WaldurChatExtension

    settings.WALDUR_CHAT = {"URL_PREFIX": "ai"}
    router = DefaultRouter()
    WaldurChatExtension.rest_urls()(router)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("api/", include(router.urls))]})
    yield
    for name in [name for name in sys.modules if name.startswith(("waldur_core", "waldur_chat.extension"))]:
        del sys.modules[name]


def test_in_waldur_it_is_the_same(front: Front, waldur: None, client: Any) -> None:
    for where in ("/api/ai/health/", "/api/ai/ready/"):
        status, _, body = front.get(where)
        assert (status, body) == (200, client.get(where).content)
