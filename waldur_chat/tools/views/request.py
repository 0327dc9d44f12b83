"""The request for a call: the host's WSGI request, with the caller's facts and without their credentials' cookies."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.urls import NoReverseMatch, ResolverMatch, resolve, reverse
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from waldur_chat.tools.arguments import InvalidArguments
from waldur_chat.tools.effects import Effects
from waldur_chat.tools.views.parameters import Parameter

DEFAULTS = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http"}
NOTHING: Mapping[str, Any] = MappingProxyType({})
NO_SUCH = "There is no such thing: a value of the path is not valid."
ACCEPT = "application/json, */*;q=0.1"


class WrongUser(PermissionDenied):
    """The host has authenticated somebody else than the asker, as when an impersonation has ended."""


class ToolRequest(WSGIRequest):
    """A request of ours. It refuses a user other than the asker, whoever sets one: DRF does, after authentication.

    `session_user` is the asker if they were logged in by a session, which is not sent. No other site can have made the
    request, so that there is no check against that (CSRF); Django's test client has the same attribute.
    """

    asker_key: str = ""
    effects: Effects | None = None
    is_atomic: bool = False
    session_user: Any = None
    _dont_enforce_csrf_checks = True
    view_name: str = ""
    path_values: Mapping[str, str]

    @property
    def user(self) -> Any:
        """The user whom the host has authenticated; an `AttributeError` before."""
        return self._tool_user

    @user.setter
    def user(self, value: Any) -> None:
        self._tool_user = self.session_user or value
        if not isinstance(value, SimpleLazyObject):
            self.check_user()

    def check_user(self) -> None:
        """Raise `WrongUser` if the host has authenticated somebody else."""
        user = self.session_user or getattr(self, "_tool_user", None)
        if getattr(user, "is_authenticated", False) and str(getattr(user, "pk", "")) != self.asker_key:
            raise WrongUser("The host has authenticated another user.")

    def leads_to(self, match: ResolverMatch) -> bool:
        """Whether the address leads to the view: an id `stats` may be the path of another one."""
        return match.view_name == self.view_name and self.path_values.keys() <= match.kwargs.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The arguments at their places. `body` is None for none."""

    path: Mapping[str, str]
    query: str
    body: bytes | None


def placed(
    parameters: Mapping[str, Parameter], arguments: Mapping[str, Any], fixed: Mapping[str, Any] = NOTHING
) -> Sent:
    """The arguments at their places, and what is `fixed` in the query. Raises `InvalidArguments` for an empty path."""
    path, fields, body = {}, {}, None
    query = [(name, text) for name, value in fixed.items() for text in _query_values(value, joins=False)]
    has_body = any(parameter.place in ("body", "whole_body") for parameter in parameters.values())
    for name, value in arguments.items():
        parameter = parameters[name]
        if parameter.place == "path":
            path[parameter.name] = _path_value(name, value)
        elif parameter.place == "query":
            query += [(parameter.name, text) for text in _query_values(value, joins=parameter.joins)]
        elif parameter.place == "body":
            fields[parameter.name] = value
        else:
            body = value
    content = json.dumps(fields if body is None else body).encode() if has_body else None
    return Sent(path=path, query=urlencode(query), body=content)


def _path_value(name: str, value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise InvalidArguments(f"{name}: it must not be empty.")
    return text


def _query_values(value: Any, *, joins: bool) -> Iterator[str]:
    if not isinstance(value, (list, tuple)):
        yield from () if value is None else (_text(value),)
    elif joins:
        yield ",".join(map(_text, value))
    else:
        yield from map(_text, value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def make_request(
    view_name: str, method: str, sent: Sent, meta: Mapping[str, str], language: str, urlconf: str
) -> ToolRequest:
    """The request, without credentials. Raises `InvalidArguments` or `Http404` if no address leads to the view."""
    path = _address(view_name, sent.path, meta.get("SCRIPT_NAME", ""), language, urlconf)
    environ: dict[str, Any] = {
        **DEFAULTS,
        **meta,
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": sent.query,
        "HTTP_ACCEPT": ACCEPT,
        "CONTENT_LENGTH": "0" if sent.body is None else str(len(sent.body)),
        "CONTENT_TYPE": "" if sent.body is None else "application/json",
        "wsgi.input": io.BytesIO(sent.body or b""),
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    request = ToolRequest(environ)
    request.view_name, request.path_values = view_name, sent.path
    with translation.override(language or translation.get_language()):
        if not request.leads_to(resolve(request.path_info, urlconf=urlconf or None)):
            raise InvalidArguments(NO_SUCH)
    return request


def _address(view_name: str, values: Mapping[str, str], script_name: str, language: str, urlconf: str) -> str:
    """The path of the view without the script name."""
    with translation.override(language or translation.get_language()):
        try:
            path = reverse(view_name, urlconf=urlconf or None, kwargs=dict(values))
        except NoReverseMatch as error:
            raise InvalidArguments(NO_SUCH) from error
    prefix = script_name.rstrip("/")
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path
