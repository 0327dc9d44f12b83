"""The chat page: public HTML that holds nothing secret. Who may chat is for the API to decide, not for the page."""

import json
import secrets
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.generic import TemplateView

from waldur_chat import conf

MODULES = (  # what main.js imports
    "conversation.js",
    "markdown/inline.js",
    "markdown/view.js",
    "net/api.js",
    "net/http.js",
    "net/problems.js",
    "net/resume.js",
    "net/sse.js",
    "net/store.js",
    "state/address.js",
    "state/client_history.js",
    "state/outbox.js",
    "state/session.js",
    "state/token.js",
    "ui/budget.js",
    "ui/composer.js",
    "ui/deletion.js",
    "ui/editor.js",
    "ui/feedback.js",
    "ui/i18n.js",
    "ui/message_actions.js",
    "ui/side_panel.js",
    "ui/thread.js",
    "ui/threads.js",
    "ui/transcript.js",
    "ui/versions.js",
)
STORAGE_VIEWS = {"threads_url": "threads-list", "messages_url": "messages-list", "usage_url": "quota-usage"}


@method_decorator(ensure_csrf_cookie, name="dispatch")
class ChatPage(TemplateView):
    """One page to chat on. A host changes it through as_view(): title, stream_view_name, input_max_length."""

    template_name = "waldur_chat/chat.html"
    title: str | Promise = gettext_lazy("Chat")
    stream_view_name = "chat-stream"
    input_max_length: int | None = None  # by default the setting

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = getattr(self.request, "user", None)  # a host may do without AuthenticationMiddleware
        return super().get_context_data(
            title=self.title,
            stream_url=reverse(self.stream_view_name),
            **storage_urls(self.stream_view_name),
            input_max_length=self.input_max_length or conf.site_value("INPUT_MAX_LENGTH"),
            has_session=bool(user and user.is_authenticated),
            csrf_header=settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
            import_map=import_map(),
            nonce=secrets.token_urlsafe(16),
            **kwargs,
        )

    def render_to_response(self, context: dict[str, Any], **response_kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **response_kwargs)
        response["Content-Security-Policy"] = content_security_policy(context["nonce"])
        response["Referrer-Policy"] = "no-referrer"
        response["X-Content-Type-Options"] = "nosniff"
        # Not "no-store": that would forbid the browser to bring the conversation back with its Back button.
        response["Cache-Control"] = "private, no-cache"
        return response


def storage_urls(stream_view_name: str) -> dict[str, str]:
    """Where the conversations are that belong to this stream, and the events of a turn named TURN.

    Empty for a host that keeps no conversations, or has no such URLs.
    """
    if not conf.site_value("STORAGE"):
        return {}
    prefix = stream_view_name.removesuffix("-stream")
    try:
        events_url = reverse(f"{prefix}-events", kwargs={"uuid": "TURN"})
        return {"events_url": events_url, **{name: reverse(f"{prefix}-{view}") for name, view in STORAGE_VIEWS.items()}}
    except NoReverseMatch:
        return {}


def content_security_policy(nonce: str) -> str:
    """Everything from our own files, nothing inline but the import map, and no string may become markup or code."""
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
    """Where static files live when that is another host; it must allow module scripts across origins (CORS)."""
    url = urlsplit(static("waldur_chat/main.js"))
    return [f"{url.scheme or 'https'}://{url.netloc}"] if url.netloc else []


def import_map() -> SafeString:
    """Lead `import "./sse.js"` to the name that the static storage gave that file, such as sse.0a1b2c.js.

    Without it a browser that keeps static files for ever would mix the modules of two versions.
    """
    prefix = settings.STATIC_URL or "/"
    imports = {f"{prefix}waldur_chat/{name}": static(f"waldur_chat/{name}") for name in MODULES}
    return mark_safe(json.dumps({"imports": imports}).replace("<", "\\u003c"))  # noqa: S308 (no "<", no way out)
