"""What a turn is asked to do, by whom, and how the same request is recognized."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from waldur_chat import users
from waldur_chat.conf import Settings
from waldur_chat.messages import Question
from waldur_chat.record import Caller, TurnTimes
from waldur_chat.turns.host.options import NO_OPTIONS, HostOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A question, its user and its settings. `key` is the Idempotency-Key, empty if there is none.

    Without a user, as in the host's own code, nothing is stored or limited. For an anonymous user, who has no primary
    key, nothing is stored and the turn cannot be resumed; its usage counts in the site's budget. `tool_caller` returns
    what tools need of the request; it is called only on sites with tools, and None without a request. `options` are for
    the host's own code. `times` run since the question has arrived, with `METRICS`.
    """

    question: Question
    settings: Settings
    caller: Caller
    user: Any | None = None
    key: str = ""
    tool_caller: Callable[[], Any] | None = None
    options: HostOptions = NO_OPTIONS
    times: TurnTimes | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether the user has no primary key."""
        return self.user is not None and not users.is_known(self.user)


def fingerprint(question: Question) -> str:
    """Return a digest that distinguishes questions."""
    content: tuple[Any, ...] = (question.text, question.thread, question.mode, question.edited)
    if question.decision:
        content = (*content, question.decision.call.hex, question.decision.is_approved)
    if question.metadata:
        content = (*content, json.dumps(question.metadata, sort_keys=True))
    return sha256(repr(content).encode()).hexdigest()
