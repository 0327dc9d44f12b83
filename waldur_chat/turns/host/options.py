"""What the host's own code may ask for beside a question, and clients of the API may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from waldur_chat.messages import Message
from waldur_chat.schemas.answers import AnswerForm

ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """How one question of the host's code is asked.

    `system` replaces the site's system prompt; None for the site's own. `history` are the messages before the question
    in place of a stored conversation; None without. An answer has at most `max_output_tokens`, and the form `form`.
    `correction` follows the question when it is asked again, since the answer had another form; no tools are offered
    then.
    """

    system: str | None = field(default=None, repr=False)
    history: tuple[Message, ...] | None = field(default=None, repr=False)
    max_output_tokens: int | None = None
    form: AnswerForm | None = None
    correction: str = field(default="", repr=False)

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The schema of the answer, if it has one."""
        return self.form.schema if self.form else None

    @property
    def besides(self) -> tuple[Message, ...]:
        """What the prompt has beside its messages, to estimate tokens from."""
        return (Message(role="user", text=self.correction),) if self.correction else ()

    def corrected(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages of the prompt. The correction is a part of the question, so that the roles alternate."""
        if not self.correction:
            return tuple(messages)
        last = max(at for at, message in enumerate(messages) if message.role == "user")
        question = replace(messages[last], text=f"{messages[last].text}\n\n{self.correction}")
        return (*messages[:last], question, *messages[last + 1 :])


NO_OPTIONS = HostOptions()


def checked_options(
    system: str | None, messages: Sequence[Mapping[str, str]] | None, max_output_tokens: int | None
) -> HostOptions:
    """The options. Raises `TypeError` and `ValueError`, which say what is wrong."""
    if not (system is None or isinstance(system, str)):
        raise TypeError("system must be a string.")
    if max_output_tokens is not None and not (type(max_output_tokens) is int and max_output_tokens > 0):
        raise ValueError("max_output_tokens must be a whole number above 0.")
    history = None if messages is None else tuple(map(_message, messages))
    return HostOptions(system=system, history=history, max_output_tokens=max_output_tokens)


def _message(given: Any) -> Message:
    if not (isinstance(given, Mapping) and given.keys() == {"role", "content"} and isinstance(given["content"], str)):
        raise ValueError('messages must be a list of {"role": ..., "content": ...}, whose content is a string.')
    if given["role"] not in ROLES:
        raise ValueError(
            f"messages: the role must be user or assistant, not {given['role']!r}; give system= by itself."
        )
    return Message(role=given["role"], text=given["content"])
