"""Errors of requests, conversations and turns, whatever the provider."""

from __future__ import annotations

from waldur_chat.errors.base import ChatError


class ChatDisabled(ChatError):
    """The site has switched the chat off."""

    code = "chat_disabled"
    status = 404
    sentence = "The chat is switched off on this site."


class ChatNotConfigured(ChatError):
    """No provider is set up, or its settings do not work."""

    code = "chat_not_configured"
    status = 409
    sentence = "The chat has no working model provider. Ask the operator of this site to configure one."


class TurnCancelled(ChatError):
    """The turn was cancelled before its answer was complete."""

    code = "cancelled"
    status = 409
    sentence = "The answer was stopped."
    retryable = True


class InvalidQuestion(ChatError):
    """The question is invalid. `field` is the wrong field, and the sentence says why."""

    code = "invalid"
    status = 400
    sentence = "This question cannot be asked like this."

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class ThreadNotFound(ChatError):
    """This user has no conversation with this id."""

    code = "thread_not_found"
    status = 404
    sentence = "There is no such conversation."


class TurnNotFound(ChatError):
    """This user has no turn with this id that can be resumed."""

    code = "turn_not_found"
    status = 404
    sentence = "There is no such answer."


class ToolCallNotFound(ChatError):
    """This user has no call of a tool with this id."""

    code = "tool_call_not_found"
    status = 404
    sentence = "There is no such call of a tool."


class ToolCallDecided(ChatError):
    """The call does not wait for a decision any more: `call_status` is its status."""

    code = "tool_call_decided"
    status = 409
    sentence = "This call does not wait for a decision any more."

    def __init__(self, call_status: str = "") -> None:
        super().__init__(f"The call is {call_status}.")
        self.call_status = call_status


class ThreadBusy(ChatError):
    """A turn is running in this conversation: `turn`, 32 hexadecimal digits.

    `retry_after` is set if its process may be dead: by then the conversation is free, unless the turn lives.
    """

    code = "thread_busy"
    status = 409
    sentence = "This conversation is being answered already. Wait for the end of that answer, or stop it."
    retryable = True

    def __init__(self, turn: str) -> None:
        super().__init__(f"Turn {turn} is running.")
        self.turn = turn


class StorageFailed(ChatError):
    """The database refuses the rows of the question, although no turn is in the way. The log names the constraint."""

    code = "storage_failed"
    status = 500
    sentence = "The question could not be stored. Ask the operator of this site to look at its log."


class DatabaseUnavailable(ChatError):
    """The database cannot be reached, or does not answer in time."""

    code = "database_unavailable"
    status = 503
    sentence = "The site's database cannot be reached right now. Try again in a moment."
    retryable = True


class IdempotencyKeyReused(ChatError):
    """The Idempotency-Key of the request belongs to another question of this user."""

    code = "idempotency_key_reused"
    status = 422
    sentence = "The Idempotency-Key of this request was used for another question already."


class TurnInterrupted(ChatError):
    """The process of the turn died; the text until then is stored."""

    code = "interrupted"
    status = 503
    sentence = "The answer was interrupted. What was written until then is kept. Try again."
    retryable = True


class ServerStopping(ChatError):
    """The server process is stopping, and the turn did not end within the grace period."""

    code = "server_stopping"
    status = 503
    sentence = "The server is being restarted. Try again in a moment."
    retryable = True
