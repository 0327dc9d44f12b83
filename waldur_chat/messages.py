"""Questions of users, and the prompts that providers get. Plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from waldur_chat.text_size import total_size

Role = Literal["system", "user", "assistant", "tool"]
Purpose = Literal["answer", "title"]
Mode = Literal["", "reload", "edit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a user decides on a call of a tool that waits for them."""

    call: UUID
    is_approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A user's question and its conversation; without a thread it starts a new one.

    Without a text the assistant opens the conversation. The mode "reload" repeats the last question; "edit" replaces
    the message `edited`, which must be the last question. With `names`, the id of a thread, the answer becomes the name
    of that thread and nothing else is stored. `metadata` is what a site's own serializer has validated in addition, as
    JSON for the provider; it is not stored. A `decision` in place of a text lets an answer in the thread go on that has
    waited for it.
    """

    text: str | None = field(default=None, repr=False)
    thread: UUID | None = None
    mode: Mode = ""
    edited: UUID | None = None
    names: UUID | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool that the model asked for; see `events.CallRequested`."""

    id: str
    name: str
    arguments: str = field(default="{}", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model gets it; `schema` is the JSON Schema of an object. Names are `[A-Za-z0-9_-]{1,64}`."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}}, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as the model gets it.

    An assistant's message may have `calls`; one message of the role "tool" for each of them follows, with the result as
    its text and the call's id as `call_id`. `reasoning` are the thoughts before the calls, which some services want
    back in the field `reasoning_key`. The question's first `context_length` characters are context, which the user did
    not write. `data` are the places in the text of results and context, which may be cut. `is_tainted`: they hold words
    of strangers.
    """

    role: Role
    text: str = field(repr=False)
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    reasoning: str = field(default="", repr=False)
    reasoning_key: str = ""
    context_length: int = 0
    data: tuple[tuple[int, int], ...] = ()
    is_tainted: bool = False

    @property
    def counted_text(self) -> str:
        """All that the model reads of the message, to estimate tokens from."""
        if not (self.calls or self.reasoning):
            return self.text
        return "".join(
            (self.text, self.reasoning, *(part for call in self.calls for part in (call.name, call.arguments)))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a turn sends to a provider: the messages, oldest first.

    The last message is the user's question, or the last of those that follow it in the same turn: calls of tools and
    their results. `opens` is true if the user wrote nothing and the assistant opens the conversation. `request_id` may
    be sent along, to find the request in the provider's log; `connect_seconds` is the time limit for connecting, while
    all others are the turn's. `max_output_tokens` is less than the provider's own limit, if any; `answer_max_length` is
    the most characters that the turn accepts. `metadata` is that of the question. Earlier questions without an answer
    are joined with the question: they are its first `unanswered_length` characters. `is_shortened` means that older
    messages were left out since few tokens are left. The model may call `tools`, unless `tool_choice` is "none". The
    answer should be JSON that fits `answer_schema`, if there is one.

    `user_id` is the primary key of the user who asks, empty for anonymous users and the host's own code; `thread` has
    32 hexadecimal digits, empty without a conversation. `purpose`: what the model is asked for. `is_tainted` means that
    the prompt holds words of strangers, `lacks_context` that the site's context could not be had.
    """

    messages: tuple[Message, ...]
    opens: bool = False
    request_id: str = ""
    connect_seconds: float = 5.0
    max_output_tokens: int | None = None
    answer_max_length: int = 1_000_000
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    unanswered_length: int = 0
    is_shortened: bool = False
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "none"] = "auto"
    answer_schema: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    user_id: str = ""
    thread: str = ""
    purpose: Purpose = "answer"
    is_tainted: bool = False
    lacks_context: bool = False

    @property
    def question(self) -> str:
        """The text of the user's last message, without the context before it."""
        message = self.messages[self._question_index]
        return message.text[message.context_length :]

    @property
    def transcript(self) -> str:
        """All messages in one text, for providers without roles; the roles are named if the assistant has spoken."""
        names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
        messages = self.without_calls().messages
        if not any(message.role == "assistant" for message in messages):
            names["user"] = ""
        return "\n\n".join(names[message.role] + message.text for message in messages)

    @property
    def history(self) -> tuple[Message, ...]:
        """The conversation before the question, oldest first."""
        earlier = tuple(message for message in self.messages[: self._question_index] if message.role != "system")
        unanswered = self.question[: self.unanswered_length]
        return (*earlier, Message(role="user", text=unanswered)) if unanswered else earlier

    @property
    def counted(self) -> tuple[Message, ...]:
        """The messages, and one that stands for the tools and the schema of the answer, to estimate tokens from."""
        besides: list[Any] = [[tool.name, tool.description, tool.schema] for tool in self.tools]
        besides += [] if self.answer_schema is None else [self.answer_schema]
        if not besides:
            return self.messages
        return (*self.messages, Message(role="system", text=json.dumps(besides, default=str)))

    def with_history(self, size: int) -> Prompt:
        """The prompt with as much of its history, the newest first, as has at most this size; see `total_size()`.

        The system prompt, the question and what follows it stay. The history begins with a user's message and its roles
        alternate; calls and their results stay together.
        """
        kept: list[Message] = []
        for message in reversed(self.history):
            size -= total_size([message])
            if size < 0:
                break
            kept.insert(0, message)
        if len(kept) == len(self.history):
            return self
        while kept and kept[0].role != "user":
            kept.pop(0)
        instructions = [message for message in self.messages if message.role == "system"]
        question, *later = self.messages[self._question_index :]
        if self.unanswered_length and kept:
            return replace(self, messages=(*instructions, *kept[:-1], question, *later))
        context = question.text[: question.context_length]
        question = replace(question, text=context + self.question[self.unanswered_length :])
        return replace(self, messages=(*instructions, *kept, question, *later), unanswered_length=0)

    def with_messages(self, messages: Iterable[Message]) -> Prompt:
        """The prompt with these messages in place of its own; it is tainted if it was, or if one of them is."""
        messages = tuple(messages)
        is_tainted = self.is_tainted or any(message.is_tainted for message in messages)
        return replace(self, messages=messages, is_tainted=is_tainted)

    def with_context(self, context: Message) -> Prompt:
        """The prompt with this text before the question, in the same message."""
        at = self._question_index
        asked = self.messages[at]
        text = f"{context.text}\n\n"
        joined = replace(context, role=asked.role, text=text + asked.text, context_length=len(text))
        return self.with_messages((*self.messages[:at], joined, *self.messages[at + 1 :]))

    def without_calls(self) -> Prompt:
        """The prompt for a provider without tools: their results are told with the user's message before them."""
        if not (self.tools or any(message.calls or message.role == "tool" for message in self.messages)):
            return self
        return replace(self, messages=_told(self.messages), tools=(), tool_choice="auto")

    @property
    def _question_index(self) -> int:
        """Where the question stands: the last message of the user, or else the last of all."""
        last = len(self.messages) - 1
        return next((at for at in range(last, -1, -1) if self.messages[at].role == "user"), last)


RESULT = "Result of the tool {name}:\n{text}"
"""What a result becomes for providers without tools. For the model, so it is not translated."""


def _told(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages without calls, in which the roles alternate as before.

    Results join the user's message before them. What the assistant said with its calls joins its next message.
    """
    told: list[Message] = []
    names: dict[str, str] = {}
    said: list[str] = []
    for message in messages:
        names |= {call.id: call.name for call in message.calls}
        if message.role == "tool":
            name = names.get(message.call_id, "unknown")
            earlier = told.pop() if told and told[-1].role == "user" else Message(role="user", text="")
            told.append(_with_result(earlier, name, message))
        elif message.calls:
            said.append(message.text)
        elif message.role == "assistant":
            told.append(Message(role="assistant", text=_joined(*said, message.text)))
            said.clear()
        else:
            told.append(message)
    return tuple(told)


def _with_result(message: Message, name: str, result: Message) -> Message:
    text = _joined(message.text, RESULT.format(name=name, text=result.text))
    before = len(text) - len(result.text)
    data = tuple((begin + before, end + before) for begin, end in result.data)
    is_tainted = message.is_tainted or result.is_tainted
    return replace(message, text=text, data=(*message.data, *data), is_tainted=is_tainted)


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
