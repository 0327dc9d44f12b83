"""The host with projects, and people who call its views by HTTP and by tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.core.management.color import no_style
from django.db import connection, connections
from django.test import Client, RequestFactory
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.request import Request

from tests.integration.tools.answering import model  # noqa: F401  # A fixture.
from tests.projects.models import AuditEntry, Project
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.effects import Effects
from waldur_chat.tools.execution import run
from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.views.view_tool import ViewTool

ADDRESS = "203.0.113.7"
ALICE, BOB, STAFF = 101, 102, 103
TOKENS = {ALICE: "a" * 40, BOB: "b" * 40, STAFF: "c" * 40}


@dataclass(frozen=True)
class Role:
    """Somebody who calls: a user by token or session, or nobody."""

    name: str
    user: int = 0
    by: str = ""

    def client(self) -> Client:
        """The client of this role; the host's errors are responses."""
        client = Client(raise_request_exception=False, REMOTE_ADDR=ADDRESS)
        if self.by == "session":
            client.force_login(get_user_model().objects.get(pk=self.user))
        elif self.by == "token":
            client.defaults["HTTP_AUTHORIZATION"] = f"Token {TOKENS[self.user]}"
        return client

    def caller(self, **meta: str) -> ToolCaller:
        """What is kept of a request of this role, written down and read again."""
        request = self.request(**meta)
        return ToolCaller.from_json(json.loads(json.dumps(ToolCaller.of(request).as_json())))

    def request(self, **meta: str) -> Request:
        """A request to the chat, which was authenticated."""
        credentials = {"HTTP_AUTHORIZATION": f"Token {TOKENS[self.user]}"} if self.by == "token" else {}
        made = RequestFactory(REMOTE_ADDR=ADDRESS).get("/", **credentials, **meta)
        made.user = get_user_model().objects.get(pk=self.user) if self.by == "session" else AnonymousUser()
        request = Request(made, authenticators=[TokenAuthentication(), SessionAuthentication()])
        assert bool(request.user.is_authenticated) is bool(self.user)
        return request

    def run(self, tool: ViewTool, arguments: Any, effects: Effects | None = None, **meta: str) -> ToolResult:
        """What the tool returns to the model of this role."""
        context = ToolContext(user=None, caller=self.caller(**meta), effects=effects)
        return async_to_sync(run)(tool, context, json.dumps(arguments))


ALICE_BY_TOKEN = Role("alice", ALICE, "token")
ROLES = (
    ALICE_BY_TOKEN,
    Role("alice-session", ALICE, "session"),
    Role("bob", BOB, "token"),
    Role("staff", STAFF, "token"),
    Role("nobody"),
)


@pytest.fixture
def projects(transactional_db: None, settings: Any) -> Iterator[None]:
    """The host with projects: its URLs, its middleware and its rows."""
    settings.ROOT_URLCONF = "tests.projects.urls"
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, "tests.projects.current.CurrentRequestMiddleware"]
    fill()
    yield
    cache.clear()


@pytest.fixture
def atomic_requests(projects: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with a transaction around each view."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def fill() -> None:
    """Put the same rows into the tables, and nothing else."""
    for table in (AuditEntry, Project, Token):
        table.objects.all().delete()
    users: Any = get_user_model().objects
    users.filter(pk__in=TOKENS).delete()
    for key, name in ((ALICE, "alice"), (BOB, "bob"), (STAFF, "staff")):
        user = users.create(pk=key, username=name, is_staff=key == STAFF, password="!")
        Token.objects.create(user=user, key=TOKENS[key])
    rows = [
        (1, ALICE, "one", "active", ""),
        (2, ALICE, "two", "frozen", ""),
        (3, ALICE, "three", "active", ""),
        (4, BOB, "four", "active", ""),
        (5, BOB, "hidden", "active", "192.0.2.1"),
    ]
    for key, owner, name, state, network in rows:
        Project.objects.bulk_create([Project(pk=key, owner_id=owner, name=name, state=state, network=network)])
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Project]):
            cursor.execute(statement)
    cache.clear()


def traces() -> dict[str, Any]:
    """What calls leave: rows, the audit, and how often each was counted by a throttle."""
    counted = {key: len(cache.get(f"throttle_projects_{key}") or ()) for key in (*TOKENS, ADDRESS)}
    rows = list(Project.objects.order_by("name").values_list("owner", "name", "budget", "state"))
    audit = list(AuditEntry.objects.order_by("pk").values_list("actor", "address", "what"))
    return {"rows": rows, "audit": audit, "counted": counted}
