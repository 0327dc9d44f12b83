"""The conversations that the page's server keeps: what the API below /api/kept-... does, in a few lines of memory."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.acceptance.page.answers import TURN, Answer, Asked, Step, event, refusal

PREFIX = "/api/kept"


@dataclass(slots=True, kw_only=True)
class Thread:
    """A conversation. Its messages are dicts as they go over the wire."""

    uuid: str
    name: str = "New chat"
    is_archived: bool = False
    used: int = 0
    running_turn: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, uuid: str, role: str, content: str, index: int, *, status: str = "complete", code: str = ""
    ) -> dict[str, Any]:
        """A message, or a version of the one that has this index."""
        earlier = [message["uuid"] for message in self.messages if message["sequence_index"] == index]
        message = {
            "uuid": uuid, "thread": self.uuid, "role": role, "content": content, "sequence_index": index,
            "replaces": earlier[-1] if earlier else None, "created": f"2026-01-01T00:{len(self.messages):02}:00Z",
            "feedback_score": None, "feedback_comment": "", "feedback_category": "",
            "status": status, "code": code, "warning": "", "ai_generated": role == "assistant",
        }  # fmt: skip
        self.messages.append(message)
        self.messages.sort(key=lambda one: one["sequence_index"])
        return message

    def put_before(self, version: dict[str, Any]) -> None:
        """Let the version before this one stay in force: an edited question waits for its answer."""
        at = self.messages.index(version)
        self.messages[at - 1], self.messages[at] = version, self.messages[at - 1]

    def put_last(self, version: dict[str, Any]) -> None:
        """Let this version be in force."""
        self.messages.remove(version)
        self.messages.append(version)
        self.messages.sort(key=lambda one: one["sequence_index"])

    @property
    def last_index(self) -> int:
        """That of the newest message; -1 where there is none."""
        return max((message["sequence_index"] for message in self.messages), default=-1)

    def last(self, role: str) -> dict[str, Any]:
        """The newest message of this side, in its current version."""
        return next(message for message in reversed(self.messages) if message["role"] == role)


@dataclass(slots=True, kw_only=True)
class Called:
    """A request that was not a question: PATCH /threads/UUID/ and the like."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Keeping:
    """All conversations, what was asked of them, and what a test wants to go wrong: `refuse("GET /threads/", ...)`."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self.usage: dict[str, Any] = {}
        self.called: list[Called] = []
        self.refusals: dict[str, Answer] = {}
        self.when_read: Callable[[Thread], object] = lambda thread: None
        self.page_size = 50
        self.results: dict[str, str] = {}
        self.decisions: deque[Answer] = deque()
        self._numbers = count(1)

    def uuid(self) -> str:
        """A new one."""
        return f"{next(self._numbers):032x}"

    def thread(self, name: str = "New chat", *exchanges: str, is_archived: bool = False) -> Thread:
        """Keep a thread in which these were said: a question, an answer, and so on."""
        thread = Thread(uuid=self.uuid(), name=name, is_archived=is_archived, used=next(self._numbers))
        for index, content in enumerate(exchanges):
            thread.add(self.uuid(), "assistant" if index % 2 else "user", content, index)
        self.threads[thread.uuid] = thread
        return thread

    def refuse(self, what: str, answer: Answer) -> None:
        """Let each call whose method and path begin so be refused, until that is taken back by `allow()`."""
        self.refusals[what] = answer

    def allow(self) -> None:
        """Refuse no more."""
        self.refusals.clear()

    def calls(self, what: str) -> list[Called]:
        """The calls whose method and path begin so."""
        return [call for call in self.called if f"{call.method} {call.path}".startswith(what)]

    def call(self, method: str, target: str, body: Any) -> Answer:
        """What the API answers."""
        url = urlsplit(target)
        path = url.path.removeprefix(PREFIX + "-")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        called = Called(method=method, path=f"/{path}", query=query, body=body)
        refused = [it for what, it in self.refusals.items() if f"{method} {called.path}".startswith(what)]
        self.called.append(called)
        if refused:
            return refused[0]
        kind, uuid, act = [*called.path.strip("/").split("/"), "", ""][:3]
        if kind == "quota":
            return good(self.usage)
        if kind == "tool-calls":
            return self.decisions.popleft() if act else good({"result": self.results[uuid]})
        if kind == "messages":
            return self._messages(uuid, called)
        return self._threads(method, uuid, act, called)

    def _threads(self, method: str, uuid: str, act: str, called: Called) -> Answer:
        if not uuid:
            return self._list(called.query)
        if uuid not in self.threads:
            return refusal(404, {"detail": "No such thread."})
        thread = self.threads[uuid]
        if method == "DELETE":
            del self.threads[uuid]
        if method == "PATCH":
            thread.name = called.body["name"]
        if act in ("archive", "unarchive"):
            thread.is_archived = act == "archive"
        shown = {"uuid": uuid, "name": thread.name, "running_turn": thread.running_turn}
        return good(shown) if method in ("GET", "PATCH") else good(None, status=204)

    def _list(self, query: dict[str, str]) -> Answer:
        wanted = query.get("query", "").lower()
        archived = query.get("is_archived")
        found = [
            {"uuid": thread.uuid, "name": thread.name, "message_count": thread.last_index + 1}
            for thread in sorted(self.threads.values(), key=lambda thread: -thread.used)
            if wanted in thread.name.lower() and archived in (None, str(thread.is_archived).lower())
        ]
        start = (int(query.get("page", 1)) - 1) * self.page_size
        more = start + self.page_size < len(found)
        headers = {"Link": '<http://elsewhere.example/?page=9>; rel="next"'} if more else {}
        return good(found[start : start + self.page_size], **headers)

    def _messages(self, uuid: str, called: Called) -> Answer:
        if not uuid:
            thread = self.threads.get(called.query["thread"])
            if thread:
                self.when_read(thread)
            return good(thread.messages if thread else [])
        message = next(one for thread in self.threads.values() for one in thread.messages if one["uuid"] == uuid)
        for name in ("score", "comment", "category"):
            message[f"feedback_{name}"] = called.body.get(name, "")
        return good(message)

    def answer(self, asked: Asked, scripted: Answer) -> Answer:
        """The scripted answer, with the question stored before it, and stored itself with its end."""
        if scripted.status < 500 and scripted.status not in (200, 422):
            return scripted
        thread = self.threads.get(asked.body.get("thread_uuid", "")) or self.thread()
        thread.used = next(self._numbers)
        mode = asked.body.get("mode")
        if mode == "reload":
            question = thread.last("user")
        elif mode == "edit":
            if thread.last("user")["uuid"] != asked.body["edit_message_uuid"]:
                return refusal(400, {"edit_message_uuid": ["This is not the last message of the user."]})
            question = thread.add(self.uuid(), "user", asked.input, thread.last("user")["sequence_index"])
            thread.put_before(question)
        else:
            question = thread.add(self.uuid(), "user", asked.input, thread.last_index + 1)
        kept = {} if mode == "reload" else {"user_message_uuid": question["uuid"]}
        body = [self._step(step, thread, question, kept, scripted) for step in scripted.body]
        thread.running_turn = TURN if scripted.status == 200 else None
        if scripted.status != 200:
            question.update(status="failed", code=json.loads(_words(scripted)).get("code", ""))
        headers = {**scripted.headers, "X-Chat-Turn": TURN, "X-Chat-Thread": thread.uuid}
        return Answer(status=scripted.status, headers=headers, body=tuple(body))

    def _step(
        self, step: bytes | Step, thread: Thread, question: dict[str, Any], kept: dict[str, str], scripted: Answer
    ) -> bytes | Step | Callable[[], bytes]:
        if isinstance(step, Step):
            return step
        if step.startswith(b"id: 1\nevent: start"):
            return event("start", turn_uuid=TURN, thread_uuid=thread.uuid)
        if not re.match(rb"event: (end|error|cancelled)", step):
            return step

        def end() -> bytes:
            thread.running_turn = None
            name, payload = re.match(r"event: (\w+)\ndata: (.*)", step.decode()).groups()  # type: ignore[union-attr]
            body = json.loads(payload)
            ended = {"status": _status(name, body), "code": body.get("code", "")}
            index = question["sequence_index"] + 1
            text = "".join(re.findall(r'data: \{"c": "((?:[^"\\]|\\.)*)"\}', _words(scripted)))
            text = json.loads(f'"{text}"')
            ids = dict(kept)
            question.update({"status": "complete", "code": ""} if text else ended)
            if text:
                thread.put_last(question)
                answer = thread.add(self.uuid(), "assistant", text, index, **ended)
                answer["warning"] = "".join(re.findall(r'data: \{"warning": "([^"]*)"', _words(scripted)))
                ids["assistant_message_uuid"] = answer["uuid"]
            return event(name, **body, **ids)

        return end


def _status(name: str, body: dict[str, Any]) -> str:
    """How an answer ended whose terminal event this is."""
    if name == "end":
        return {"length": "length", "content_filter": "filtered"}.get(body["finish_reason"], "complete")
    return "stopped" if name == "cancelled" else "interrupted" if body.get("code") == "interrupted" else "failed"


def _words(scripted: Answer) -> str:
    return b"".join(step for step in scripted.body if isinstance(step, bytes)).decode()


def good(body: object, *, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    content = b"" if status == 204 else json.dumps(body).encode()
    return Answer(
        status=status, body=(content,) if content else (), headers={"Content-Type": "application/json", **headers}
    )
