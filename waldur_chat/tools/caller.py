"""What is kept of the request of a user, so that a tool can act as they would: keys, not objects.

Credentials are not kept, only their hashes. The rows are read again for every call, so that what was revoked meanwhile,
and who was deactivated, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.utils import translation

from waldur_chat import users
from waldur_chat.tools.request import credentials
from waldur_chat.tools.request.credentials import AuthRow
from waldur_chat.tools.request.kept_meta import kept_meta

Kind = Literal["anonymous", "session", "token", "other"]


class CallerRefused(Exception):
    """The user may no longer act as they did when they asked. The message tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentCaller:
    """The caller as the database has them now. `auth` is the row that authenticates them, such as a token."""

    user: Any
    auth: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCaller:
    """A user, how they were authenticated, and the facts of their request that views may read.

    `user` and `impersonator` are primary keys as text, empty for none; `session_hash` is a hash of Django's session
    hash, which changes with the password. `meta` has the keys of WSGI. All fields are JSON values.
    """

    user: str
    kind: Kind
    authenticator: str = ""
    auth: AuthRow | None = None
    session_hash: str = ""
    impersonator: str = ""
    language: str = ""
    urlconf: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Any) -> ToolCaller:
        """What is to be kept of a request of Django or DRF, after it was authenticated."""
        user, django_request = request.user, getattr(request, "_request", request)
        authenticator = getattr(request, "successful_authenticator", None)
        urlconf = getattr(django_request, "urlconf", None)
        impersonator = users.impersonator_of(request)
        return cls(
            user=str(user.pk) if users.is_known(user) else "",
            kind=_kind(request, authenticator) if users.is_known(user) else "anonymous",
            authenticator=credentials.path_of(authenticator),
            auth=AuthRow.of(request),
            session_hash=credentials.session_hash(user),
            impersonator="" if impersonator is None else str(impersonator.pk),
            language=translation.get_language() or "",
            urlconf=urlconf if isinstance(urlconf, str) else "",
            meta=kept_meta(django_request),
        )

    def as_json(self) -> dict[str, Any]:
        """The caller as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ToolCaller:
        """The caller that `as_json` has written."""
        auth = values.get("auth")
        return cls(**{**values, "auth": AuthRow(**auth) if auth else None})

    def reload(self) -> CurrentCaller:
        """Read user, impersonator and credentials again. Raises `CallerRefused` if one is gone or has changed."""
        if self.kind == "anonymous":
            return CurrentCaller(user=AnonymousUser(), auth=None)
        user = _active(self.user, "The user")
        if self.impersonator and not users.sees_all(_active(self.impersonator, "Who acts for the user")):
            raise CallerRefused("Who acts for the user may no longer do so.")
        if self.kind == "session" and not credentials.is_session_hash(user, self.session_hash):
            raise CallerRefused("The user has logged in anew since.")
        auth = self.auth.find() if self.auth else None
        if self.auth and auth is None:
            raise CallerRefused("The credentials of the user were revoked.")
        return CurrentCaller(user=user, auth=auth)


def _active(key: str, who: str) -> Any:
    """The row of an active user. Raises `CallerRefused`."""
    found: Any = get_user_model()._base_manager.filter(pk=key).first()
    if found is None:
        raise CallerRefused(f"{who} is no longer there.")
    if not getattr(found, "is_active", True):
        raise CallerRefused(f"{who} was deactivated.")
    return found


def _kind(request: Any, authenticator: Any) -> Kind:
    """How the request was authenticated, as far as it can be repeated."""
    if authenticator is None or credentials.is_session(authenticator):
        return "session"
    return "token" if credentials.is_repeatable_token(request, authenticator) else "other"
