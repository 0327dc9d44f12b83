"""The host's users, of any model: in Waldur they have `uuid`, `full_name` and `is_support`, elsewhere not.

For users without a valid `uuid` a stable one is derived from the primary key: itself if it is a UUID; a UUID of
version 8 (RFC 9562) that contains it if it is a number; otherwise a UUID of version 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import IntegerField, UUIDField
from django.utils.module_loading import import_string

from waldur_chat import conf

NAMESPACE = UUID("57a1d0c4-0000-8000-8000-000000000000")
_NUMBER = (1 << 62) - 1
KEYS_PER_QUERY = 2000


def is_known(user: Any) -> bool:
    """Whether rows can belong to the user: an instance of the host's user model with a valid primary key.

    Not so an anonymous user, None, or the user of a stateless token (`TokenUser` of simplejwt), whose key is that of a
    user elsewhere. The host's own code may also pass a bare key: an object that has `pk`, but not `is_authenticated`.
    No query: `has_row` asks the database where the instance was not read from it.
    """
    if getattr(user, "pk", None) is None or not getattr(user, "is_authenticated", True):
        return False
    if not _is_instance(user):
        return not hasattr(user, "is_authenticated")
    return not _is_made_up(user) or _is_valid_key(user)


def has_row(user: Any) -> bool:
    """Whether the user is in the database. Queries it only for an instance that was not read from it."""
    return is_known(user) and _is_instance(user) and (not _is_made_up(user) or exists(user))


def exists(user: Any) -> bool:
    """Whether the table of users has this user now: a known one may have been deleted meanwhile."""
    return bool(get_user_model()._base_manager.filter(pk=user.pk).exists())


def uuid_of(user: Any) -> UUID:
    """Return the user's UUID."""
    if (own := _own_uuid(user)) is not None:
        return own
    if isinstance(user.pk, UUID):
        return user.pk
    if isinstance(user.pk, int) and 0 <= user.pk <= _NUMBER:
        return UUID(int=NAMESPACE.int | user.pk)
    return uuid5(NAMESPACE, str(user.pk))


def find(uuid: UUID) -> Any | None:
    """Return the user with this UUID. Reads all primary keys if these are neither numbers nor UUIDs."""
    users: Any = get_user_model()._default_manager
    if _has("uuid") and (found := users.filter(uuid__in={uuid.hex, str(uuid)}).first()):
        return found
    found = _find_by_key(users, uuid)
    return found if found is not None and uuid_of(found) == uuid else None


def _find_by_key(users: Any, uuid: UUID) -> Any | None:
    """The user whose primary key makes this UUID."""
    if isinstance(get_user_model()._meta.pk, UUIDField):
        return users.filter(pk=uuid).first()
    if uuid.version == NAMESPACE.version and uuid.int & ~_NUMBER == NAMESPACE.int:
        return users.filter(pk=uuid.int & _NUMBER).first()
    if isinstance(get_user_model()._meta.pk, IntegerField):
        return None
    found = next((key for key in _keys(users.order_by("pk")) if uuid5(NAMESPACE, str(key)) == uuid), None)
    return None if found is None else users.filter(pk=found).first()


def full_name_of(user: Any) -> str:
    """Return the user's full name, empty if there is none: Django requires none of a user model."""
    name = getattr(user, "full_name", None) or getattr(user, "get_full_name", "")
    return str(name() if callable(name) else name)


def sees_all(user: Any) -> bool:
    """Whether the user is staff or support and so may read conversations of others."""
    return bool(getattr(user, "is_staff", False) or getattr(user, "is_support", False))


def impersonator(request: Any) -> Any | None:
    """Who impersonates the user of a request, as Waldur notes it on the user. The default of `REQUEST_IMPERSONATOR`."""
    return getattr(request.user, "impersonator", None)


def impersonator_of(request: Any) -> Any | None:
    """Who impersonates the user of a request, by the setting `REQUEST_IMPERSONATOR`; None for nobody."""
    path = conf.site_value("REQUEST_IMPERSONATOR")
    found = import_string(path)(request) if path else None
    return found if is_known(found) else None


def _is_instance(user: Any) -> bool:
    """Whether it is an instance of the user model, of a proxy of it, or an object that passes everything on to one."""
    model = get_user_model()
    kind = getattr(getattr(user, "_meta", None), "concrete_model", None)
    return isinstance(user, model) or kind is model._meta.concrete_model


def _is_made_up(user: Any) -> bool:
    """Whether the instance was not read from the database, such as `User(pk=claims["sub"])`."""
    return bool(user._state.adding)


def _is_valid_key(user: Any) -> bool:
    try:
        key = user._meta.pk.clean(user.pk, user)
    except ValidationError:
        return False
    # Before Django 5 the fields of SQLite have no bounds, but its integers do.
    return not isinstance(key, int) or -(2**63) <= key < 2**63


def _own_uuid(user: Any) -> UUID | None:
    """The value of the host's field; None without such a field, and if it holds no UUID."""
    try:
        return UUID(str(user.uuid)) if _has("uuid") else None
    except ValueError:
        return None


def _keys(users: Any) -> Iterator[Any]:
    """All primary keys, in several queries: poolers of connections cannot keep a cursor of the server."""
    after: dict[str, Any] = {}
    while keys := list(users.filter(**after).values_list("pk", flat=True)[:KEYS_PER_QUERY]):
        yield from keys
        after = {"pk__gt": keys[-1]}


def _has(name: str) -> bool:
    """Whether the host's user model has a field of this name."""
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
