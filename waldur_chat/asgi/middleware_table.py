"""The methods of Django's own middleware that do not block, and on which condition.

Most only look at the request or the response. Checked against Django 4.2 to 6.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings


def _always(*_: Any) -> bool:
    return True


def _session_is_unchanged(request: Any, *_: Any) -> bool:
    # Else the middleware writes the session to its store.
    return not (settings.SESSION_SAVE_EVERY_REQUEST or (getattr(request, "session", None) and request.session.modified))


def _has_no_messages(request: Any, *_: Any) -> bool:
    # Else the middleware stores them, in a session as a rule.
    messages = getattr(request, "_messages", None)
    return messages is None or not (messages.used or messages.added_new)


def _secret_is_a_cookie(*_: Any) -> bool:
    # A secret in the session is read from the session's store.
    return not settings.CSRF_USE_SESSIONS


def _is_exempt(_: Any, view: Any, *__: Any) -> bool:
    # For a view that is not exempt the token may be looked up in the form, which reads the body.
    return bool(getattr(view, "csrf_exempt", False))


NONBLOCKING: dict[tuple[str, str], Callable[..., bool]] = {
    ("django.middleware.security.SecurityMiddleware", "process_request"): _always,
    ("django.middleware.security.SecurityMiddleware", "process_response"): _always,
    ("django.contrib.sessions.middleware.SessionMiddleware", "process_request"): _always,
    ("django.contrib.sessions.middleware.SessionMiddleware", "process_response"): _session_is_unchanged,
    ("django.middleware.locale.LocaleMiddleware", "process_request"): _always,
    ("django.middleware.locale.LocaleMiddleware", "process_response"): _always,
    ("django.middleware.common.CommonMiddleware", "process_request"): _always,
    ("django.middleware.common.CommonMiddleware", "process_response"): _always,
    ("django.middleware.csrf.CsrfViewMiddleware", "process_request"): _secret_is_a_cookie,
    ("django.middleware.csrf.CsrfViewMiddleware", "process_view"): _is_exempt,
    ("django.middleware.csrf.CsrfViewMiddleware", "process_response"): _secret_is_a_cookie,
    ("django.contrib.auth.middleware.AuthenticationMiddleware", "process_request"): _always,
    ("django.contrib.messages.middleware.MessageMiddleware", "process_request"): _always,
    ("django.contrib.messages.middleware.MessageMiddleware", "process_response"): _has_no_messages,
    ("django.middleware.clickjacking.XFrameOptionsMiddleware", "process_response"): _always,
}
"""The condition on the arguments, by class and method. Subclasses are not in it, since they may do more."""


def find_condition(method: object) -> Callable[..., bool] | None:
    """The condition on which a method does not block; None for a method that is not in the table."""
    kind = type(getattr(method, "__self__", None))
    return NONBLOCKING.get((f"{kind.__module__}.{kind.__qualname__}", getattr(method, "__name__", "")))
