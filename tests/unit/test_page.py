"""The view of the chat page: what it tells its script, and the headers that fence the page in."""

import re
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils.translation import override

from waldur_chat import errors
from waldur_chat.page import ChatPage

urlpatterns = [
    path("assistant/", include("waldur_chat.page_urls")),
    path("stream-here/", lambda request: HttpResponse(), name="chat-stream"),
    path("other-stream/", lambda request: HttpResponse(), name="other-stream"),
    path("kept-stream/", lambda request: HttpResponse(), name="kept-stream"),
    path("kept/<uuid>/", lambda request, uuid: HttpResponse(), name="kept-events"),
    path("kept-threads/", lambda request: HttpResponse(), name="kept-threads-list"),
    path("kept-messages/", lambda request: HttpResponse(), name="kept-messages-list"),
    path("kept-tool-calls/", lambda request: HttpResponse(), name="kept-tool-calls-list"),
    path("kept-quota/usage/", lambda request: HttpResponse(), name="kept-quota-usage"),
]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.STATIC_URL = "/static/"


def render(user: object = None, **initkwargs: object) -> HttpResponse:
    request: HttpRequest = RequestFactory().get("/assistant/")
    if user is not None:
        request.user = user  # type: ignore[assignment]
    response = ChatPage.as_view(**initkwargs)(request)
    return response.render()  # type: ignore[attr-defined, no-any-return]


def policy(response: HttpResponse) -> dict[str, list[str]]:
    directives = (directive.split() for directive in response["Content-Security-Policy"].split("; "))
    return {name: sources for name, *sources in directives}


def test_anybody_gets_the_page_and_a_csrf_cookie() -> None:
    response = Client().get("/assistant/")

    assert response.status_code == 200
    assert "csrftoken" in response.cookies


def test_the_page_names_the_stream() -> None:
    assert 'data-stream-url="/stream-here/"' in render().content.decode()


def test_a_host_can_name_another_stream() -> None:
    assert 'data-stream-url="/other-stream/"' in render(stream_view_name="other-stream").content.decode()


def test_the_page_names_the_conversations_that_belong_to_the_stream() -> None:
    html = render(stream_view_name="kept-stream").content.decode()

    assert 'data-threads-url="/kept-threads/"' in html
    assert 'data-messages-url="/kept-messages/"' in html
    assert 'data-usage-url="/kept-quota/usage/"' in html
    assert 'data-calls-url="/kept-tool-calls/"' in html
    assert 'data-events-url="/kept/TURN/"' in html
    assert 'id="side"' in html


@pytest.mark.parametrize("name", ["chat-stream", "other-stream"])
def test_a_host_without_addresses_of_conversations_has_no_list_of_them(name: str) -> None:
    html = render(stream_view_name=name).content.decode()

    assert "data-threads-url" not in html
    assert "data-calls-url" not in html
    assert 'id="side"' not in html


def test_a_host_that_stores_nothing_has_no_list_of_conversations(settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}

    assert "data-threads-url" not in render(stream_view_name="kept-stream").content.decode()


def test_a_host_can_give_title_and_length() -> None:
    html = render(title="Ask <us>", input_max_length=1234).content.decode()

    assert "<title>Ask &lt;us&gt;</title>" in html
    assert 'data-max-length="1234"' in html


@pytest.mark.parametrize(
    ("notice", "language", "shown"),
    [("An <AI>.", "en", "An &lt;AI&gt;."), ({"en": "An AI.", "de": "Eine KI."}, "de", "Eine KI.")],
)
def test_the_notice_is_there_without_javascript_and_login(
    settings: Any, notice: Any, language: str, shown: str
) -> None:
    settings.WALDUR_CHAT = {"NOTICE": notice}

    with override(language):
        assert f'<p id="ai-notice" dir="auto">{shown}</p>' in render().content.decode()


def test_a_host_can_have_no_notice(settings: Any) -> None:
    settings.WALDUR_CHAT = {"NOTICE": ""}

    assert "ai-notice" not in render().content.decode()


def test_the_page_knows_the_sentence_of_every_error() -> None:
    html = unescape(render().content.decode())

    for kind in (errors.ProviderFailed, errors.ContextExceeded, errors.TurnInterrupted):
        told = str(kind.retryable).lower()
        assert f'<p data-code="{kind.code}" data-retryable="{told}">{kind.sentence}</p>' in html


def test_each_code_of_an_error_is_there_once() -> None:
    codes = re.findall('data-code="([^"]+)"', render().content.decode())

    assert len(codes) == len(set(codes))


def test_the_length_is_a_plain_number_in_every_locale(settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True

    assert 'data-max-length="50000"' in render().content.decode()


@pytest.mark.parametrize(
    ("user", "told"),
    [
        (None, "false"),
        (SimpleNamespace(is_authenticated=False), "false"),
        (SimpleNamespace(is_authenticated=True), "true"),
    ],
)
def test_the_page_knows_whether_there_is_a_session(user: object, told: str) -> None:
    assert f'data-session="{told}"' in render(user).content.decode()


def test_the_csrf_header_follows_the_setting(settings: Any) -> None:
    settings.CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"

    assert 'data-csrf-header="X-XSRF-TOKEN"' in render().content.decode()


def test_the_policy_allows_our_own_files_and_nothing_else() -> None:
    response = render()
    directives = policy(response)

    assert directives["default-src"] == ["'none'"]
    assert directives["style-src"] == directives["img-src"] == directives["connect-src"] == ["'self'"]
    assert directives["script-src"][:1] == ["'self'"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert directives["base-uri"] == directives["form-action"] == ["'none'"]
    assert directives["frame-ancestors"] == ["'self'"]


def test_the_policy_allows_the_host_of_static_files_to_serve_files_only(settings: Any) -> None:
    settings.STATIC_URL = "https://cdn.example/static/"
    directives = policy(render())

    assert directives["script-src"][:2] == ["'self'", "https://cdn.example"]
    assert directives["style-src"] == directives["img-src"] == ["'self'", "https://cdn.example"]
    assert directives["connect-src"] == ["'self'"]


def test_the_nonce_is_that_of_the_import_map_and_new_each_time() -> None:
    first, second = render(), render()
    nonce = re.search(r'<script type="importmap" nonce="([^"]+)">', first.content.decode())

    assert nonce is not None
    assert f"'nonce-{nonce[1]}'" in first["Content-Security-Policy"]
    assert nonce[1] not in second.content.decode()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "private, no-cache"),
    ],
)
def test_headers(header: str, value: str) -> None:
    assert render()[header] == value
