"""All that a user who is staff can do, done at once: the server refuses some of it, and errs with none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.acceptance.books import check_account, ends
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.postgresql import pooled
from tests.processes import Running, hosts
from waldur_chat.models import Message, Session, Thread, Turn

HANDS, ACTS = 8, 50
THREADS = 4
"""So few conversations that hands meet in them."""
INSTRUCTIONS = {"name": "A prompt", "custom_instructions": "Be short."}

Known = tuple[list[str], list[str], list[str]]
"""UUIDs of conversations, messages and system prompts."""


@pytest.fixture(scope="module")
def two(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Two hosts on one database."""
    settings = {"TITLES": True, "USER_TOKENS_DAILY": 10**9}
    options = {"database": pooled(database, 20), "provider": f"{fake.address}/v1", "settings": settings}
    with hosts(["uvicorn", "gunicorn-gthread"], tmp_path_factory.mktemp("two"), **options) as running:
        yield running


class Hand:
    """One of those that act for a user; what there is to act on they have from each other."""

    def __init__(self, api: httpx.Client, known: Known) -> None:
        self._api = api
        self._threads, self._messages, self._prompts = known
        self.seen: Counter[tuple[str, int]] = Counter()

    def work(self) -> None:
        """Do any of it, one after the other."""
        acts = {
            self.begin: 4, self.write: 4, self.ask: 4, self.list: 2, self.edit: 2, self.rate: 2, self.change: 2,
            self.instruct: 4, self.delete: 1, self.look: 1, self.erase: 1,
        }  # fmt: skip
        for act in random.choices([*acts], [*acts.values()], k=ACTS):
            act()

    def begin(self) -> None:
        if len(self._threads) < THREADS:
            self._note(self._threads, self._call("POST", "chat-threads/", {}))

    def write(self) -> None:
        message = {"thread": self._thread(), "role": "user", "content": "Hello"}
        self._note(self._messages, self._call("POST", "chat-messages/", message))

    def ask(self) -> None:
        how: dict[str, str] = random.choice([
            {}, {"thread_uuid": self._thread()}, {"thread_uuid": self._thread(), "mode": "reload"},
            {"thread_uuid": self._thread(), "mode": "edit", "edit_message_uuid": self._message()},
        ])  # fmt: skip
        self._call("POST", "chat/stream/", {"input": "fake:tokens=3&delay=0.01", **how})

    def list(self) -> None:
        listed = self._call("GET", f"chat-messages/?thread={self._thread()}")
        self._messages[:] = [one["uuid"] for one in listed.json()] if listed.is_success else []

    def edit(self) -> None:
        self._call("POST", f"chat-messages/{self._message()}/edit/", {"content": "Hi"})

    def rate(self) -> None:
        self._call("POST", f"chat-messages/{self._message()}/feedback/", {"score": True})

    def change(self) -> None:
        way = random.choice(["archive/", "unarchive/", "cancel/", ""])
        self._call("POST" if way else "PATCH", f"chat-threads/{self._thread()}/{way}", {} if way else {"name": "A"})

    def instruct(self) -> None:
        path = f"chat-system-prompts/{random.choice([*self._prompts] or ['0' * 32])}/"
        match random.choice(["write", "change", "activate", "delete"]):
            case "write":
                self._note(self._prompts, self._call("POST", "chat-system-prompts/", INSTRUCTIONS))
            case "change":
                self._call("PATCH", path, {"custom_instructions": f"Be {random.random()}."})
            case "activate":
                self._call("POST", f"{path}activate/", {})
            case "delete":
                self._call("DELETE", path)
                self._prompts.clear()

    def delete(self) -> None:
        self._call("DELETE", f"chat-threads/{self._thread(forget=True)}/")

    def look(self) -> None:
        self._call("GET", random.choice(["chat-sessions/current/", "chat-threads/", "chat-messages/"]))

    def erase(self) -> None:
        self._call("DELETE", "chat-sessions/current/")
        self._threads.clear()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        response = self._api.request(method, path, json=body)
        self.seen[f"{method} {path.partition('/')[0]}", response.status_code] += 1
        return response

    def _note(self, uuids: list[str], made: httpx.Response) -> None:
        if made.is_success:
            uuids.append(made.json()["uuid"])

    def _thread(self, *, forget: bool = False) -> str:
        known = [*self._threads] or ["0" * 32]
        uuid = random.choice(known)
        if forget and uuid in self._threads:
            self._threads.remove(uuid)
        return uuid

    def _message(self) -> str:
        return random.choice([*self._messages] or ["0" * 32])


def test_nothing_that_is_done_at_once_is_an_error(two: list[Running]) -> None:
    user = new_user()
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    options: dict[str, Any] = {"headers": {"Authorization": f"Token {user.auth_token.key}"}, "timeout": 60}
    with ExitStack() as stack, ThreadPoolExecutor(HANDS) as pool:
        apis = [stack.enter_context(httpx.Client(base_url=f"{one.address}/api/", **options)) for one in two]
        known: Known = ([], [], [])
        hands = [Hand(apis[number % 2], known) for number in range(HANDS)]
        list(pool.map(Hand.work, hands))
        seen = sum((hand.seen for hand in hands), Counter[tuple[str, int]]())
        assert {status for _, status in seen} <= {200, 201, 204, 400, 404, 409}, seen
        assert {("POST chat", 200), ("POST chat-messages", 201), ("DELETE chat-sessions", 204)} <= set(seen), seen
        ends(user)
        assert check_account(user) > 0
        hands[0].erase()
    assert not any(model.objects.using(HOST).exists() for model in (Session, Thread, Message, Turn))
