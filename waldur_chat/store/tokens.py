"""Finds who a token belongs to, with a statement that is composed once.

Every request asks for it, and the ORM takes longer to compose that than all else that is asked of the database.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import CharField, Field, ForeignKey, Manager, Model

from waldur_chat.store import fetched, sql


def with_user(model: type[Model], key: str) -> Any:
    """The token with its user, as `model.objects.select_related("user").get(key=key)` gives it; else None.

    Only that the user does not point back to it: they would wait for the garbage collector.
    None also for models and databases of which the site may want something else.
    """
    if not _is_plain(model) or router.db_for_read(model) != DEFAULT_DB_ALIAS:
        return None
    link: Any = model._meta.get_field("user")
    owners = link.remote_field.model
    for found in sql.rows(_finding(model, owners), [key]):
        size = fetched.size(model)
        token, user = fetched.instance(model, found[:size]), fetched.instance(owners, found[size:])
        link.set_cached_value(token, user)
        return token
    return None


@cache
def _is_plain(model: type[Model]) -> bool:
    """Whether Django's own manager finds it by a key that no two have, and it and its user have a table each.

    Fields that must be asked for in another way than by the name of their column are left to the ORM.
    """
    if type(getattr(model, "objects", None)) is not Manager:
        return False
    key, link = (next((field for field in model._meta.concrete_fields if field.name == name), None) for name in _NAMED)
    if type(key) is not CharField or not key.unique or not isinstance(link, ForeignKey) or link.null:
        return False
    kinds = (model, link.remote_field.model)
    read = (type(field).select_format for kind in kinds for field in kind._meta.concrete_fields)
    is_whole = link.target_field.primary_key and not any(kind._meta.parents for kind in kinds)
    return is_whole and all(each is Field.select_format for each in read)


_NAMED = ("key", "user")


@sql.composed
def _finding(model: type[Model], owners: type[Model]) -> str:
    token, user = sql.table(model), sql.table(owners)
    return (
        f"SELECT {fetched.columns(model)}, {fetched.columns(owners)} FROM {token} "  # noqa: S608  # No values in it.
        f"JOIN {user} ON {token}.{sql.column(model, 'user')} = {user}.{sql.column(owners, owners._meta.pk.name)} "
        f"WHERE {token}.{sql.column(model, 'key')} = %s"
    )
