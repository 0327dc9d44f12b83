"""Who may do what: every request of the API, by everybody, to what is his own and to what is somebody else's.

Each line has a method, a path below `/api/`, the status that each of `WHO` gets, and a body. `<thread>`, `<question>`,
`<answer>`, `<turn>`, `<session>` and `<user>` belong to somebody else, but for those in `OWNERS`; `<prompt>` is the
site's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from tests.integration.rest import JSON, Person, message_of
from tests.integration.stored import thread_of, turn_in
from waldur_chat.models import Budget, Message, Reading, Session, SystemPrompt, SystemPromptVersion, Thread, Turn
from waldur_chat.store.conversations import system_prompts
from waldur_chat.testing import scripted
from waldur_chat.users import uuid_of

WHO = ("stranger", "inactive", "owner", "other", "support", "staff", "support_owner", "staff_owner")
OWNERS = ("inactive", "owner", "support_owner", "staff_owner")
SECRET = "Whiskers"

# method path                                 stranger inactive owner other support staff support_owner staff_owner body
TABLE = """
POST   chat/stream/                            401 401 200 200 200 200 200 200 {"input": "a"}
POST   chat/stream/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>"}
POST   chat/stream/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>", "mode": "reload"}
POST   chat/stream/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>", "mode": "edit", "edit_message_uuid": "<question>"}
POST   chat/stream/                            401 401 200 404 404 404 200 200 {"input": "a", "update_thread_name": "<thread>"}
POST   chat/invoke/                            401 401 200 200 200 200 200 200 {"input": "a"}
POST   chat/invoke/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>"}
POST   chat/invoke/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>", "mode": "reload"}
POST   chat/invoke/                            401 401 200 404 404 404 200 200 {"input": "a", "thread_uuid": "<thread>", "mode": "edit", "edit_message_uuid": "<question>"}
POST   chat/invoke/                            401 401 200 404 404 404 200 200 {"input": "a", "update_thread_name": "<thread>"}
GET    chat/turns/<turn>/events/               401 401 200 404 404 404 200 200
GET    chat/config/                            200 200 200 200 200 200 200 200
GET    chat/health/                            200 200 200 200 200 200 200 200
GET    chat/ready/                             200 200 200 200 200 200 200 200
HEAD   chat/ready/                             200 200 200 200 200 200 200 200
GET    chat-threads/                           401 401 200 200 200 200 200 200
HEAD   chat-threads/                           401 401 200 200 200 200 200 200
GET    chat-threads/?user=<user>               401 401 200 200 200 200 200 200
POST   chat-threads/                           401 401 201 201 201 201 201 201 {"name": "a"}
GET    chat-threads/stats/                     401 401 200 200 200 200 200 200
GET    chat-threads/<thread>/                  401 401 200 404 200 200 200 200
HEAD   chat-threads/<thread>/                  401 401 200 404 200 200 200 200
PUT    chat-threads/<thread>/                  401 401 200 404 404 404 200 200 {"name": "a"}
PATCH  chat-threads/<thread>/                  401 401 200 404 404 404 200 200 {"is_archived": true}
DELETE chat-threads/<thread>/                  401 401 204 404 404 404 204 204
POST   chat-threads/<thread>/archive/          401 401 204 404 204 204 204 204
POST   chat-threads/<thread>/unarchive/        401 401 204 404 204 204 204 204
POST   chat-threads/<thread>/cancel/           401 401 200 404 404 404 200 200
GET    chat-messages/                          401 401 200 200 200 200 200 200
GET    chat-messages/?thread=<thread>          401 401 200 200 200 200 200 200
HEAD   chat-messages/?thread=<thread>          401 401 200 200 200 200 200 200
POST   chat-messages/                          401 401 201 404 404 404 201 201 {"thread": "<thread>", "role": "user", "content": "a"}
POST   chat-messages/                          401 401 201 404 404 404 201 201 {"thread": "<thread>", "role": "user", "content": "a", "replaces": "<question>"}
GET    chat-messages/<answer>/                 401 401 200 404 200 200 200 200
GET    chat-messages/<question>/history/       401 401 200 404 200 200 200 200
POST   chat-messages/<question>/edit/          401 401 200 404 404 404 200 200 {"content": "a"}
POST   chat-messages/<answer>/feedback/        401 401 200 404 404 404 200 200 {"score": true}
GET    chat-sessions/                          401 401 200 200 200 200 200 200
HEAD   chat-sessions/                          401 401 200 200 200 200 200 200
GET    chat-sessions/<session>/                401 401 200 404 200 200 200 200
GET    chat-sessions/current/                  401 401 200 200 200 200 200 200
HEAD   chat-sessions/current/                  401 401 200 200 200 200 200 200
DELETE chat-sessions/current/                  401 401 204 204 204 204 204 204
GET    chat-sessions/current/export/           401 401 200 200 200 200 200 200
GET    chat-sessions/current/export/?as=markdown 401 401 200 200 200 200 200 200
GET    chat-quota/usage/                       401 401 200 200 200 200 200 200
GET    chat-quota/usage/?user_uuid=<user>      401 401 200 403 200 200 200 200
POST   chat-tools/execute/                     401 401 400 400 400 400 400 400 {"tool": "a"}
POST   chat-quota/set_quota/                   401 401 403 403 200 200 200 200 {"user_uuid": "<user>", "daily_limit": 5}
GET    chat-tool-calls/                        401 401 200 200 200 200 200 200
HEAD   chat-tool-calls/                        401 401 200 200 200 200 200 200
GET    chat-tool-calls/<turn>/                 401 401 404 404 404 404 404 404
HEAD   chat-tool-calls/<turn>/                 401 401 404 404 404 404 404 404
POST   chat-tool-calls/<turn>/approve/         401 401 404 404 404 404 404 404
POST   chat-tool-calls/<turn>/deny/            401 401 404 404 404 404 404 404
GET    chat-system-prompts/                    401 401 403 403 403 200 403 200
HEAD   chat-system-prompts/                    401 401 403 403 403 200 403 200
POST   chat-system-prompts/                    401 401 403 403 403 201 403 201 {"name": "a"}
GET    chat-system-prompts/<prompt>/           401 401 403 403 403 200 403 200
PUT    chat-system-prompts/<prompt>/           401 401 403 403 403 200 403 200 {"name": "a"}
PATCH  chat-system-prompts/<prompt>/           401 401 403 403 403 200 403 200 {"name": "a"}
DELETE chat-system-prompts/<prompt>/           401 401 403 403 403 204 403 204
POST   chat-system-prompts/<prompt>/activate/  401 401 403 403 403 200 403 200
POST   chat-system-prompts/<prompt>/deactivate/ 401 401 403 403 403 200 403 200
GET    chat-system-prompts/<prompt>/versions/  401 401 403 403 403 200 403 200
"""  # noqa: E501  # A table.


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request by one person, and the status it is to get."""

    method: str
    path: str
    body: str
    who: str
    status: int

    @property
    def asks(self) -> bool:
        """Whether a model may be asked, in another thread, which does not see the transaction of a test."""
        return self.path.startswith("chat/") and not self.is_public

    @property
    def is_public(self) -> bool:
        """Whether everybody may send it, and nothing that is stored is read but credentials."""
        return self.path in ("chat/config/", "chat/health/", "chat/ready/")

    @property
    def names_something(self) -> bool:
        """Whether a UUID is in it."""
        return "<" in self.path + self.body

    @property
    def is_refused(self) -> bool:
        """Whether it is known who asks, and that they may not."""
        return self.status in (403, 404)

    @property
    def hides(self) -> bool:
        """Whether what is named is to look as if it were not there."""
        return self.is_refused and self.names_something

    @property
    def reads_others(self) -> bool:
        """Whether support or staff read a conversation of somebody else, or a part of it."""
        is_reading = self.who in ("support", "staff") and self.method in ("GET", "HEAD")
        return (
            is_reading and self.path.startswith(("chat-threads/<", "chat-messages/")) and self.path != "chat-messages/"
        )


class World:
    """Two conversations: of the one who calls, and of somebody else, of which only the latter has a secret in it."""

    def __init__(self, who: str) -> None:
        role = who.partition("_")[0]
        self.who = who
        self.caller = Person(role, is_staff=role == "staff", is_active=role != "inactive")
        self.client = Client() if who == "stranger" else self.caller.client
        self.prompt = system_prompts.create(self.caller.user, name="Default", custom_instructions=SECRET)
        self.mine = thread_of(self.caller.user, "Hello", "Hi", name="Mine")
        self.somebody = get_user_model().objects.create_user("somebody", email=f"{SECRET}@example.com")
        self.theirs = thread_of(self.somebody, SECRET, SECRET, name=SECRET)
        for user, thread in ((self.caller.user, self.mine), (self.somebody, self.theirs)):
            turn_in(thread, user=user, answer=message_of(thread, 1), ended=timezone.now())

    def uuids(self) -> dict[str, str]:
        """What the words in angle brackets stand for."""
        owns = self.who in OWNERS
        thread = self.mine if owns else self.theirs
        return {
            "thread": thread.uuid.hex,
            "question": message_of(thread, 0).uuid.hex,
            "answer": message_of(thread, 1).uuid.hex,
            "turn": Turn.objects.get(thread=thread).uuid.hex,
            "session": thread.session.uuid.hex,
            "prompt": self.prompt.uuid.hex,
            "user": uuid_of(self.caller.user if owns else self.somebody).hex,
        }

    def send(self, case: Case, uuids: dict[str, str] | None = None) -> tuple[int, bytes]:
        """The status and the body of the answer; with other UUIDs than those of what there is."""
        named = self.uuids() if uuids is None else uuids
        path, body = (re.sub("<(.+?)>", lambda found: named[found[1]], text) for text in (case.path, case.body))
        with scripted("Hello"):
            response = self.client.generic(case.method, f"/api/{path}", body, JSON)
            return response.status_code, b"".join(response)


def nothing() -> dict[str, str]:
    """UUIDs of what is not there."""
    return {name: uuid4().hex for name in ("thread", "question", "answer", "turn", "session", "prompt", "user")}


ROWS: list[type[Model]] = [Budget, Message, Reading, Session, SystemPrompt, SystemPromptVersion, Thread, Turn]


def rows() -> dict[str, list[Any]]:
    """All that is stored."""
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in ROWS}


def clear() -> None:
    """Delete all that is stored, and everybody."""
    for model in (*ROWS, get_user_model()):
        model._default_manager.all().delete()


def cases() -> list[Case]:
    """The table."""
    return [case for line in TABLE.strip().splitlines() for case in _cases(line)]


def _cases(line: str) -> list[Case]:
    method, path, *rest = line.split(maxsplit=2 + len(WHO))
    statuses, body = rest[: len(WHO)], "".join(rest[len(WHO) :])
    return [
        Case(method=method, path=path, body=body, who=who, status=int(status))
        for who, status in zip(WHO, statuses, strict=True)
    ]
