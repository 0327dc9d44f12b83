"""What can be different about a call of a view: its answer, its address, and who is authenticated."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth import get_user_model
from django.db import connections
from django.urls import include, path
from django.utils import translation
from django.utils.functional import SimpleLazyObject
from rest_framework.authentication import TokenAuthentication
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter
from rest_framework.versioning import URLPathVersioning

from tests.integration.tools.conftest import ALICE, ALICE_BY_TOKEN, BOB, ROLES, Role, traces
from tests.integration.tools.test_callers import HeaderAuthentication
from tests.projects import current
from tests.projects.views import ProjectViewSet
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.execution import run
from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.views.authentication import NO_WAY
from waldur_chat.tools.views.view_tool import ViewTool

pytestmark = pytest.mark.usefixtures("projects")


def log(kind: str) -> ToolResult:
    """The result of the view that answers in every way."""
    return ALICE_BY_TOKEN.run(ViewTool("log"), {"kind": kind})


@pytest.mark.parametrize(
    ("kind", "outcome", "words", "data"),
    [
        ("html", "error", "Not Found", {"status": 404, "answer": "Not Found"}),
        ("stream", "success", "1 of 1 rows.", {"rows": [1], "total": 1}),
        ("async", "success", "1 of 1 rows.", {"rows": [2], "total": 1}),
        ("file", "success", "The view gives a file, which tools do not read: log.csv.", None),
        ("text", "success", "Done.", "words"),
        ("bytes", "success", "The view gives image/png, which tools do not read.", None),
        ("broken", "success", "The view says that it gives JSON, but it does not.", None),
        (
            "elsewhere",
            "error",
            "The view leads to another address, which tools do not follow.",
            {"status": 302, "answer": "Found"},
        ),
        ("odd", "error", "Odd", {"status": 499, "answer": "Odd"}),
        ("nothing", "success", "Done.", None),
        ("cursor", "success", "1 rows.", {"rows": [1], "total": None, "more": "call again with cursor=x&y"}),
        ("links", "success", "0 of 12 rows.", {"rows": [], "total": 12, "more": "call again with page=2"}),
    ],
)
def test_every_kind_of_answer_is_a_result(kind: str, outcome: str, words: str, data: Any) -> None:
    result = log(kind)
    assert (result.outcome, result.summary, result.data) == (outcome, words, data)


@pytest.mark.parametrize("kind", ["endless", "endless-async"])
def test_of_a_stream_only_the_beginning_is_read(kind: str) -> None:
    result = log(kind)
    assert (result.summary, len(result.data)) == ("Only the beginning was read.", 1_000_000)


def test_more_rows_than_the_tool_has_are_left_out() -> None:
    data = log("numbers").data
    assert (len(data["rows"]), data["total"]) == (50, 60)
    assert data["more"].startswith("10 more rows of this answer are left out")


def test_how_to_ask_for_less_is_known() -> None:
    result = ALICE_BY_TOKEN.run(ViewTool("project-list"), {})
    assert result.advice == "Ask for fewer with page_size, or use ordering, page, search, state."
    assert ALICE_BY_TOKEN.run(ViewTool("project-detail"), {"id": 1}).advice == "Ask for fewer."


def test_fields_are_those_of_rows_and_of_one() -> None:
    assert ALICE_BY_TOKEN.run(ViewTool("project-detail", fields=["name"]), {"id": 1}).data == {"name": "one"}
    assert ALICE_BY_TOKEN.run(ViewTool("log", fields=["name"]), {"kind": "text"}).data == "words"


@pytest.mark.parametrize("value", ["stats", "", "  ", "a/b", "../1", "1/?x="])
def test_a_value_of_the_path_leads_to_no_other_view(value: str) -> None:
    tool = ViewTool("project-detail")
    tool.schema = {"type": "object"}
    result = ALICE_BY_TOKEN.run(tool, {"id": value})
    assert result.outcome == "validation_error"
    assert traces()["counted"][ALICE] == 0


def test_a_path_that_middleware_leads_elsewhere_is_not_found(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.elsewhere"]
    assert ALICE_BY_TOKEN.run(ViewTool("project-list"), {}).data["status"] == 404


def elsewhere(get_response: Any) -> Any:
    """Middleware that chooses other URLs, where the same path has another view."""

    def middleware(request: Any) -> Any:
        request.urlconf = type("Urls", (), {"urlpatterns": [path("api/projects/", lambda request: None, name="x")]})
        return get_response(request)

    return middleware


def test_a_site_below_a_path_is_called_there() -> None:
    result = ALICE_BY_TOKEN.run(ViewTool("project-list"), {"page_size": 1}, SCRIPT_NAME="/site")
    assert result.data["total"] == 3


def test_a_site_with_the_language_in_its_path_is_called_in_the_users(settings: Any) -> None:
    router = SimpleRouter()
    router.register("projects", ProjectViewSet, basename="project")
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": i18n_patterns(path("", include(router.urls)))})
    with translation.override("de"):
        caller = ALICE_BY_TOKEN.caller()
    assert _run(ViewTool("project-list"), caller).data["total"] == 3


class Versioned(ProjectViewSet):
    """Projects with the version in the path."""

    versioning_class = type("Versions", (URLPathVersioning,), {"default_version": "v2"})


def test_the_version_of_the_path_is_the_views_own(settings: Any) -> None:
    router = SimpleRouter()
    router.register("projects", Versioned, basename="project")
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("<str:version>/", include(router.urls))]})
    tool = ViewTool("project-list")
    assert "version" not in tool.schema["properties"]
    assert ALICE_BY_TOKEN.run(tool, {}).data["total"] == 3


def _run(tool: Any, caller: ToolCaller | None, **arguments: Any) -> ToolResult:
    return async_to_sync(run)(tool, ToolContext(user=None, caller=caller), json.dumps(arguments))


def test_without_a_request_a_view_is_not_called() -> None:
    assert _run(ViewTool("project-list"), None).error == "This needs the request of a user."


class TestOthers:
    """Users whom an authenticator of the host's own has found."""

    @pytest.fixture
    def caller(self) -> ToolCaller:
        """One of them."""
        request = ROLES[4].request(HTTP_X_NAME="alice")._request
        return ToolCaller.of(Request(request, authenticators=[HeaderAuthentication()]))

    def test_a_view_without_it_is_not_called(self, caller: ToolCaller) -> None:
        assert _run(ViewTool("project-list"), caller).error == NO_WAY
        assert traces()["counted"][ALICE] == 0

    def test_on_a_view_with_it_the_user_is_set(self, caller: ToolCaller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ProjectViewSet, "authentication_classes", [HeaderAuthentication])
        assert _run(ViewTool("project-list"), caller).data["total"] == 3

    @pytest.mark.parametrize("how", ["action", "method"])
    def test_a_view_that_chooses_another_for_the_call_refuses_them(
        self, caller: ToolCaller, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        tool = ViewTool("project-list")
        monkeypatch.setattr(ProjectViewSet, "authentication_classes", [HeaderAuthentication])
        if how == "action":
            monkeypatch.setitem(tool.target.callback.initkwargs, "authentication_classes", [TokenAuthentication])
        else:
            monkeypatch.setattr(ProjectViewSet, "get_authenticators", lambda view: [TokenAuthentication()])
        assert _run(tool, caller).error == NO_WAY

    def test_the_site_can_make_the_headers(
        self, caller: ToolCaller, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ProjectViewSet, "authentication_classes", [HeaderAuthentication])
        settings.WALDUR_CHAT = {"TOOL_AUTHENTICATION": f"{__name__}.name_of"}
        assert _run(ViewTool("project-list"), caller).data["total"] == 3

    def test_nobody_else_is_let_in_by_them(
        self, caller: ToolCaller, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ProjectViewSet, "authentication_classes", [HeaderAuthentication])
        settings.WALDUR_CHAT = {"TOOL_AUTHENTICATION": f"{__name__}.name_of_bob"}
        assert _run(ViewTool("project-list"), caller).data["status"] == 403
        assert traces()["counted"] == {ALICE: 0, BOB: 0, 103: 0, "203.0.113.7": 0}


def name_of(caller: ToolCaller, user: Any) -> dict[str, str]:
    """The header of the user."""
    return {"HTTP_X_NAME": user.username}


def name_of_bob(caller: ToolCaller, user: Any) -> dict[str, str]:
    """The header of somebody else."""
    return {"HTTP_X_NAME": "bob"}


def as_bob(get_response: Any) -> Any:
    """Middleware that sets another user, at once or at their first use."""

    def middleware(request: Any) -> Any:
        bob = get_user_model().objects.get(pk=BOB)
        request.user = SimpleLazyObject(lambda: bob) if request.META.get("HTTP_X_FORWARDED_LAZY") else bob
        return get_response(request)

    return middleware


@pytest.mark.parametrize("meta", [{}, {"HTTP_X_FORWARDED_LAZY": "1"}], ids=["at-once", "lazy"])
@pytest.mark.parametrize("role", [ALICE_BY_TOKEN, ROLES[4]], ids=["alice", "nobody"])
def test_whom_middleware_has_set_is_not_acted_for(settings: Any, role: Role, meta: dict[str, str]) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.as_bob"]
    assert role.run(ViewTool("project-list"), {}, **meta).data["status"] == 403


def test_the_askers_own_request_stays_where_the_host_keeps_it() -> None:
    seen = []

    def inside(request: Any) -> Any:
        ALICE_BY_TOKEN.run(ViewTool("project-list"), {})
        seen.append(current.request() is request)

    current.CurrentRequestMiddleware(inside)(ALICE_BY_TOKEN.request()._request)
    assert seen == [True]


def test_no_connection_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, closed = [], []
    kind = type(connections["default"])
    connect, close = kind.connect, kind._close
    monkeypatch.setattr(kind, "connect", lambda self: opened.append(id(self)) or connect(self))
    monkeypatch.setattr(kind, "_close", lambda self: closed.append(id(self)) or close(self))
    caller = ALICE_BY_TOKEN.caller()
    _run(ViewTool("project-list"), caller)
    assert len(opened) == 1
    assert set(opened) <= set(closed)


def test_a_view_of_tokens_only_does_not_open_for_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProjectViewSet, "authentication_classes", [TokenAuthentication])
    assert ROLES[1].run(ViewTool("project-list"), {}).data["status"] == 401


def test_a_user_of_a_session_writes_where_csrf_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DRF checks it in its `SessionAuthentication`, also where the middleware is missing."""
    result = ROLES[1].run(ViewTool("project-detail", "PATCH"), {"id": 1, "budget": 4})
    assert result.data["budget"] == 4


def test_the_caller_of_another_urlconf_is_called_there() -> None:
    caller = replace(ALICE_BY_TOKEN.caller(), urlconf="tests.projects.urls")
    assert _run(ViewTool("project-list"), caller).data["total"] == 3
