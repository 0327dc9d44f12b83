"""The host's users, whatever they are made of: in Waldur they have `uuid`, `full_name`, `is_support`; elsewhere not.

A host without `uuid` gets stable ones: the primary key where that is a UUID; a UUID of version 8 (RFC 9562) that holds
it where it is a number; else one of version 5, made of it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import IntegerField, UUIDField

NAMESPACE = UUID("57a1d0c4-0000-8000-8000-000000000000")
_NUMBER = (1 << 62) - 1


def is_known(user: Any) -> bool:
    """Whether this has a key, by which rows are theirs; not so an anonymous user, a guest, or None."""
    return bool(getattr(user, "is_authenticated", True)) and getattr(user, "pk", None) is not None


def uuid_of(user: Any) -> UUID:
    """The user's UUID."""
    if _has("uuid"):
        return UUID(str(user.uuid))
    if isinstance(user.pk, UUID):
        return user.pk
    if isinstance(user.pk, int) and 0 <= user.pk <= _NUMBER:
        return UUID(int=NAMESPACE.int | user.pk)
    return uuid5(NAMESPACE, str(user.pk))


def find(uuid: UUID) -> Any | None:
    """The user who has this UUID. Reads all primary keys where these are neither numbers nor UUIDs."""
    users: Any = get_user_model()._default_manager
    if _has("uuid"):
        return users.filter(uuid=uuid.hex).first()
    if isinstance(get_user_model()._meta.pk, UUIDField):
        return users.filter(pk=uuid).first()
    if uuid.version == NAMESPACE.version and uuid.int & ~_NUMBER == NAMESPACE.int:
        return users.filter(pk=uuid.int & _NUMBER).first()
    if isinstance(get_user_model()._meta.pk, IntegerField):
        return None
    keys = users.values_list("pk", flat=True).iterator()
    found = next((key for key in keys if uuid5(NAMESPACE, str(key)) == uuid), None)
    return None if found is None else users.filter(pk=found).first()


def full_name_of(user: Any) -> str:
    """The user's name as people write it; empty where there is none. Django asks no user model to have one."""
    name = getattr(user, "full_name", None) or getattr(user, "get_full_name", "")
    return str(name() if callable(name) else name)


def sees_all(user: Any) -> bool:
    """Whether the user is of staff or support, who may read what belongs to others."""
    return bool(getattr(user, "is_staff", False) or getattr(user, "is_support", False))


def _has(name: str) -> bool:
    """Whether the host's users have a column of this name."""
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
