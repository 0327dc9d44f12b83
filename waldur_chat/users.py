"""The host's users, of any model: in Waldur they have `uuid`, `full_name` and `is_support`, elsewhere not.

For users without `uuid` a stable one is derived from the primary key: itself if it is a UUID; a UUID of version 8 (RFC
9562) that contains it if it is a number; otherwise a UUID of version 5.
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
    """Whether the user has a primary key, so that rows can belong to them; not so an anonymous user, or None."""
    return bool(getattr(user, "is_authenticated", True)) and getattr(user, "pk", None) is not None


def uuid_of(user: Any) -> UUID:
    """Return the user's UUID."""
    if _has("uuid"):
        return UUID(str(user.uuid))
    if isinstance(user.pk, UUID):
        return user.pk
    if isinstance(user.pk, int) and 0 <= user.pk <= _NUMBER:
        return UUID(int=NAMESPACE.int | user.pk)
    return uuid5(NAMESPACE, str(user.pk))


def find(uuid: UUID) -> Any | None:
    """Return the user with this UUID. Reads all primary keys if these are neither numbers nor UUIDs."""
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
    """Return the user's full name, empty if there is none: Django requires none of a user model."""
    name = getattr(user, "full_name", None) or getattr(user, "get_full_name", "")
    return str(name() if callable(name) else name)


def sees_all(user: Any) -> bool:
    """Whether the user is staff or support and so may read conversations of others."""
    return bool(getattr(user, "is_staff", False) or getattr(user, "is_support", False))


def _has(name: str) -> bool:
    """Whether the host's user model has a field of this name."""
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
