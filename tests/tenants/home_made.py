"""Settings of a host whose own middleware sets the schema by the name of the host's address."""

from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.host.settings import *  # noqa: F403
from tests.host.settings import MIDDLEWARE


def in_schema(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The middleware."""

    def respond(request: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {request.get_host().partition('.')[0]}")
        return get_response(request)

    return respond


MIDDLEWARE = ["tests.tenants.home_made.in_schema", *MIDDLEWARE]
