"""The view of the chat page: public HTML without secrets. The API decides who may chat, not the page."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import NoReverseMatch
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.generic import TemplateView

from waldur_chat import conf
from waldur_chat.page.errors import error_texts
from waldur_chat.page.import_map import import_map
from waldur_chat.page.routes import ApiRoutes, find_routes

STORAGE_VIEWS = {"threads_url": "threads-list", "messages_url": "messages-list", "usage_url": "quota-usage"}


@method_decorator(ensure_csrf_cookie, name="dispatch")
class ChatPage(TemplateView):
    """The chat page. Sites configure it by as_view(): `title`, `stream_view_name`, `input_max_length`.

    `stream_view_name` is `chat-stream`, with `URL_PREFIX` in the place of `chat`, unless a site names another one. It
    is found within URL namespaces too, and under versions in the path (`DEFAULT_VERSION`).
    """

    template_name = "waldur_chat/chat.html"
    title: str | Promise = gettext_lazy("Chat")
    stream_view_name = ""
    input_max_length: int | None = None  # None: the setting INPUT_MAX_LENGTH.

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = getattr(self.request, "user", None)  # Missing without AuthenticationMiddleware.
        routes = find_routes(self.stream_view_name or f"{conf.site_value('URL_PREFIX')}-stream")
        return super().get_context_data(
            title=self.title,
            stream_url=routes.url("stream"),
            **storage_urls(routes),
            calls_url=calls_url(routes),
            input_max_length=self.input_max_length or conf.site_value("INPUT_MAX_LENGTH"),
            has_session=bool(user and user.is_authenticated),
            csrf_header=settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
            notice=conf.notice_text(conf.site_value("NOTICE")),
            errors=error_texts(),
            import_map=import_map(),
            nonce=secrets.token_urlsafe(16),
            **kwargs,
        )

    def render_to_response(self, context: dict[str, Any], **response_kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **response_kwargs)
        response["Content-Security-Policy"] = content_security_policy(context["nonce"])
        response["Referrer-Policy"] = "no-referrer"
        response["X-Content-Type-Options"] = "nosniff"
        # Not "no-store": the browser could then not restore the conversation when the user goes back to the page.
        response["Cache-Control"] = "private, no-cache"
        return response


def storage_urls(routes: ApiRoutes) -> dict[str, str]:
    """URLs of the conversations that belong to this stream, and of the events of a turn, with TURN for its UUID.

    Empty where the site does not store conversations, or does not route these views.
    """
    if not conf.site_value("STORAGE"):
        return {}
    try:
        events_url = routes.url("events", uuid="TURN")
        return {"events_url": events_url, **{name: routes.url(view) for name, view in STORAGE_VIEWS.items()}}
    except NoReverseMatch:
        return {}


def calls_url(routes: ApiRoutes) -> str:
    """The URL of calls of tools, which users decide on; empty where the site does not route it."""
    try:
        return routes.url("tool-calls-list") if conf.site_value("STORAGE") else ""
    except NoReverseMatch:
        return ""


def content_security_policy(nonce: str) -> str:
    """Allow our own static files and the inline import map only, and no conversion of strings to markup or code."""
    files = " ".join(["'self'", *static_origin()])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {files} 'nonce-{nonce}'",
            f"style-src {files}",
            f"img-src {files}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def static_origin() -> list[str]:
    """The origin of static files if it is another host; that host must allow cross-origin module scripts (CORS)."""
    url = urlsplit(static("waldur_chat/main.js"))
    return [f"{url.scheme or 'https'}://{url.netloc}"] if url.netloc else []
