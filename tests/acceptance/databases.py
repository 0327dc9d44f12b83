"""Databases of hosts that run as processes, which a test looks into with Django's own means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections
from rest_framework.authtoken.models import Token

from tests.host.settings import database

HOST = "host"
"""The alias of a host's database, for `using()`."""


@contextmanager
def opened(address: str) -> Iterator[None]:
    """This database under the alias `HOST`."""
    connections.settings[HOST] = connections.configure_settings({"default": database(address)})["default"]
    try:
        yield
    finally:
        connections[HOST].close()
        del connections[HOST]
        del connections.settings[HOST]


def new_user() -> Any:
    """A user of the host, with a token."""
    users = get_user_model().objects.using(HOST)
    user = users.create(username=f"user {users.count()}")
    Token.objects.using(HOST).create(user=user)
    return user
