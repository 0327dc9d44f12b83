"""Everything that can go wrong with a turn: one tree, plain Python.

    ChatError
    ├── ChatDisabled                  404  the site has switched the chat off
    ├── ChatNotConfigured             409  no provider is set up, or its settings do not work
    ├── TurnCancelled                 409  the turn was cancelled
    ├── QuestionRefused               400  the question is invalid: a field of the request is wrong
    ├── ThreadNotFound                404  this user has no such conversation
    ├── TurnNotFound                  404  this user has no such turn
    ├── ThreadBusy                    409  an answer is being written in this conversation
    ├── BudgetExhausted               429  the tokens of the user or of the site are used up
    │   └── BudgetConflict            409  the same, where the site answers so
    ├── IdempotencyKeyReused          422  its Idempotency-Key belongs to another question
    ├── TurnInterrupted               503  the process that wrote the answer died
    ├── TooManyTurns                  429  this user has as many turns running as the site allows
    ├── ChatBusy                      503  this process or the site has, and the queue is full or slow
    ├── ServerStopping                503  the server process is being stopped
    ├── AnswerTooLong                 502  the answer is longer than the site allows
    ├── TurnTooLong                   504  the whole turn took longer than the site allows
    └── ProviderError                 502  the base of providers' failures
        ├── ProviderUnreachable       502  no connection, or it broke
        ├── ProviderRefused           502  it rejects the request: key, model, parameters
        ├── ProviderFailed            502  it failed, before its answer or within it
        ├── ProviderIncomplete        502  its stream ended without a sign that it is complete
        ├── ProviderBusy              503  overloaded or rate-limited
        ├── ProviderUnavailable       503  the circuit breaker is open: it failed repeatedly
        ├── ProviderConnectTooSlow    504  it did not accept the connection in time
        ├── ProviderTooSlow           504  it did not start to answer in time
        └── ProviderSilent            504  it was silent for too long during its answer

Wrong settings stand outside this tree: they are Django's `ImproperlyConfigured`.
"""

from __future__ import annotations

from typing import ClassVar


class ChatError(Exception):
    """A failure that is reported to the client.

    `code` and `status` are sent to the client; `sentence` is safe to show to a user; `retryable` says whether the same
    request may succeed later. The exception's own message is for the log and never leaves the server. `retry_after` is
    the number of seconds after which to repeat the request, if known.
    """

    code: ClassVar[str] = "chat_failed"
    status: ClassVar[int] = 500
    sentence: ClassVar[str] = "The chat failed."
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(message or self.sentence)
        self.retry_after = retry_after


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


class QuestionRefused(ChatError):
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


class ThreadBusy(ChatError):
    """A turn is running in this conversation: `turn`, 32 hexadecimal digits."""

    code = "thread_busy"
    status = 409
    sentence = "This conversation is being answered already. Wait for the end of that answer, or stop it."
    retryable = True

    def __init__(self, turn: str) -> None:
        super().__init__(f"Turn {turn} is running.")
        self.turn = turn


class BudgetExhausted(ChatError):
    """The worst case of the turn exceeds the rest of the budget.

    `scope` is "user" or "site", `period` "daily", "weekly" or "monthly".
    """

    code = "budget_exhausted"
    status = 429
    sentence = "There are not enough tokens left for this question. Try again later."
    retryable = True

    def __init__(self, *, scope: str, period: str, limit: int, retry_after: int) -> None:
        super().__init__(f"The {period} tokens of the {scope} do not suffice.", retry_after=retry_after)
        self.scope = scope
        self.period = period
        self.limit = limit


class BudgetConflict(BudgetExhausted):
    """The same with the status that Waldur's own chat uses."""

    status = 409


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


class TooManyTurns(ChatError):
    """This user has as many turns running as the site allows one user."""

    code = "too_many_turns"
    status = 429
    sentence = "You have too many answers running at once. Wait for one of them to end, or stop it."
    retryable = True


class ChatBusy(ChatError):
    """As many turns run as the process or the site allows, and there is no room or no time left in the queue."""

    code = "chat_busy"
    status = 503
    sentence = "Too many people are chatting right now. Try again in a moment."
    retryable = True


class ServerStopping(ChatError):
    """The server process is stopping, and the turn did not end within the grace period."""

    code = "server_stopping"
    status = 503
    sentence = "The server is being restarted. Try again in a moment."
    retryable = True


class AnswerTooLong(ChatError):
    """The answer is longer than the site allows: the provider ignores its token limit."""

    code = "answer_too_long"
    status = 502
    sentence = "The answer became too long and was ended."


class TurnTooLong(ChatError):
    """The whole turn took longer than the site allows."""

    code = "turn_too_long"
    status = 504
    sentence = "The answer took too long and was ended. Try a shorter question."
    retryable = True


class ProviderError(ChatError):
    """The base of providers' failures."""

    code = "provider_failed"
    status = 502
    sentence = "The language model failed to answer. Try again in a moment."
    retryable = True


class ProviderUnreachable(ProviderError):
    """The connection to the provider failed or broke."""

    code = "provider_unreachable"
    sentence = "The language model cannot be reached. Try again in a moment."


class ProviderRefused(ProviderError):
    """The provider rejects the request: the key, the model or a parameter is wrong.

    `provider_status` is the HTTP status of the rejection, if any.
    """

    code = "provider_refused"
    sentence = "The language model refused the request. Ask the operator of this site to check its settings."
    retryable = False

    def __init__(self, message: str = "", *, provider_status: int | None = None) -> None:
        super().__init__(message)
        self.provider_status = provider_status


class ProviderFailed(ProviderError):
    """The provider failed before or during its answer."""


class ProviderIncomplete(ProviderError):
    """The provider's stream ended without a sign that it is complete."""

    code = "provider_incomplete"
    sentence = "The language model broke off in the middle of its answer. Try again."


class ProviderBusy(ProviderError):
    """The provider is overloaded or limits our rate."""

    code = "provider_busy"
    status = 503
    sentence = "The language model is busy. Try again in a moment."


class ProviderUnavailable(ProviderError):
    """The circuit breaker is open: the provider failed repeatedly and is skipped for a while."""

    code = "provider_unavailable"
    status = 503
    sentence = "The language model is out of order. Try again in a minute."


class ProviderConnectTooSlow(ProviderError):
    """The provider did not accept the connection in time."""

    code = "provider_connect_timeout"
    status = 504
    sentence = "The language model cannot be reached. Try again in a moment."


class ProviderTooSlow(ProviderError):
    """The provider did not start to answer in time."""

    code = "provider_too_slow"
    status = 504
    sentence = "The language model did not answer in time. Try again in a moment."


class ProviderSilent(ProviderError):
    """The provider was silent for too long during its answer."""

    code = "provider_silent"
    status = 504
    sentence = "The language model fell silent in the middle of its answer. Try again."


def kind_of_code(code: str) -> type[ChatError]:
    """Return the class with this code; `ChatError` if there is none."""
    kinds: list[type[ChatError]] = [ChatError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.code == code), ChatError)


def of_code(code: str) -> ChatError:
    """Return the error of a stored turn, of which only the code was stored."""
    return kind_of_code(code)()
