"""Credentials of a request: found again by key or hash, and never kept."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model
from rest_framework.authentication import SessionAuthentication, TokenAuthentication


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRow:
    """The row with which a request was authenticated, such as a token.

    `owner` is the user whose row it is: not always the user of the request, who may be impersonated. `key` is the
    primary key, or its hash if `is_hashed`, since DRF's tokens have the credential itself as primary key.
    """

    model: str
    key: str
    is_hashed: bool
    owner: str

    @classmethod
    def of(cls, request: Any) -> AuthRow | None:
        """The row of a request of DRF; None if it was not authenticated by one."""
        auth: Any = getattr(request, "auth", None)
        owner = _owner_field(type(auth)) if isinstance(auth, Model) else ""
        if not owner or auth.pk is None:
            return None
        is_hashed = not isinstance(auth.pk, int) and not hasattr(auth.pk, "hex")
        key = digest(str(auth.pk)) if is_hashed else str(auth.pk)
        owner_key = str(getattr(auth, f"{owner}_id"))
        return cls(model=auth._meta.label, key=key, is_hashed=is_hashed, owner=owner_key)

    def find(self) -> Any | None:
        """The row as it is now; None if it is gone, or its user is inactive."""
        model: Any = apps.get_model(self.model)
        field = _owner_field(model)
        rows = model._base_manager.filter(**{field: self.owner}).select_related(field)
        found = next((row for row in rows if compare_digest(self._key_of(row), self.key)), None)
        return found if found is not None and getattr(getattr(found, field), "is_active", True) else None

    def _key_of(self, row: Any) -> str:
        return digest(str(row.pk)) if self.is_hashed else str(row.pk)


def digest(text: str) -> str:
    """A hash of a credential. It has too many possible values to be guessed, so that no salt is needed."""
    return sha256(text.encode()).hexdigest()


def session_hash(user: Any) -> str:
    """A hash of what Django keeps in sessions of this user; empty for user models without it."""
    make = getattr(user, "get_session_auth_hash", None)
    return digest(make()) if make else ""


def is_session_hash(user: Any, kept: str) -> bool:
    """Whether the sessions of that time are valid still, also if the site has changed its secret key since."""
    fallbacks = getattr(user, "get_session_auth_fallback_hash", tuple)
    return any(compare_digest(kept, one) for one in (session_hash(user), *map(digest, fallbacks())))


def path_of(authenticator: Any) -> str:
    """The dotted path of the class; empty for none."""
    return "" if authenticator is None else f"{type(authenticator).__module__}.{type(authenticator).__qualname__}"


def is_session(authenticator: Any) -> bool:
    """Whether it takes the user of Django's session."""
    return isinstance(authenticator, SessionAuthentication)


def is_repeatable(kind: Any) -> bool:
    """Whether users of this class can be authenticated again from what is kept."""
    return isinstance(kind, type) and issubclass(kind, (SessionAuthentication, TokenAuthentication))


def is_repeatable_token(request: Any, authenticator: Any) -> bool:
    """Whether the header of the request can be made from the row: some tables of tokens have hashes only."""
    if not isinstance(authenticator, TokenAuthentication) or not isinstance(request.auth, Model):
        return False
    sent = request.headers.get("Authorization", "").split()
    return len(sent) == 2 and compare_digest(sent[1].encode(), str(getattr(request.auth, "key", "")).encode())


def authorization(authenticator: type[TokenAuthentication], row: Any) -> str:
    """The header for a row of tokens."""
    return f"{authenticator.keyword} {row.key}"


def _owner_field(model: Any) -> str:
    """The name of the foreign key to the user; empty if there is none."""
    user = get_user_model()
    keys = (field for field in model._meta.concrete_fields if field.is_relation)
    return next((field.name for field in keys if field.related_model in (user, user._meta.concrete_model)), "")
