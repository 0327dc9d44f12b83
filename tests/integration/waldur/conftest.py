"""The stand-in of a Waldur host, and its users."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.marketplace.views import COMPUTED
from waldur_chat.tools import ToolContext, execution, registry
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.views.description import _describe

Execute = Callable[..., Any]
NOBODY = ToolCaller(user="", kind="anonymous")


@pytest.fixture
def waldur(settings: Any) -> Any:
    """A site with the tools of Waldur. Returns the settings."""
    settings.ROOT_URLCONF = "tests.marketplace.urls"
    settings.WALDUR_CHAT = {"TOOLS": "waldur", "ENABLED_ROLES": "anonymous"}
    _describe.cache_clear()
    return settings


@pytest.fixture
def execute(transactional_db: None, waldur: Any, django_user_model: Any) -> Execute:
    """Executes a tool as a user, of whom `boss` is staff and `nobody` is not logged in: `execute("alice", ...)`."""

    def run(name: str, tool: str, **arguments: Any) -> Any:
        COMPUTED.clear()
        if name == "nobody":  # The API executes tools of users only; a model calls them for others, too.
            context = ToolContext(user=AnonymousUser(), caller=NOBODY)
            return async_to_sync(execution.run)(
                registry.examine().tools[tool], context, json.dumps(arguments)
            ).as_json()
        user, _ = django_user_model.objects.get_or_create(username=name, defaults={"is_staff": name == "boss"})
        client = Client(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=user)[0].key}")
        body = {"tool": tool, "arguments": arguments}
        return client.post("/api/chat-tools/execute/", body, "application/json").json()

    return run


def properties(name: str) -> set[str]:
    """The arguments of a tool."""
    return set(registry.examine().tools[name].schema["properties"])


def offered(user: Any = None) -> list[str]:
    """The names of the tools of a user, by default of somebody who is not logged in."""
    return [tool.name for tool in registry.offered(user or AnonymousUser(), NOBODY)]
