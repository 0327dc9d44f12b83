"""The base class of all errors of a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar


class ChatError(Exception):
    """A failure that is reported to the client.

    `code` and `status` are sent to the client; `sentence` is safe to show to a user; `retryable` says whether the same
    request may succeed later. The exception's own message is for the log and never leaves the server. `retry_after` is
    the number of seconds after which to repeat the request, if known. The sentence may contain `values`, by name in
    braces.
    """

    code: ClassVar[str] = "chat_failed"
    status: ClassVar[int] = 500
    sentence: ClassVar[str] = "The chat failed."
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(message or self.sentence)
        self.retry_after = retry_after

    @property
    def values(self) -> Mapping[str, object]:
        """What the braces in the sentence stand for; empty if it has none."""
        return {}

    def told(self, translate: Callable[[str], str]) -> str:
        """The sentence as the reader gets it: translated, with its values."""
        sentence = translate(self.sentence)
        return sentence.format(**self.values) if self.values else sentence
