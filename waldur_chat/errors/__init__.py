"""Everything that can go wrong with a turn: one tree, plain Python.

    ChatError
    ├── ChatDisabled                  404  the site has switched the chat off
    ├── ChatNotConfigured             409  no provider is set up, or its settings do not work
    ├── TurnCancelled                 409  the turn was cancelled
    ├── InvalidQuestion               400  the question is invalid: a field of the request is wrong
    ├── ThreadNotFound                404  this user has no such conversation
    ├── TurnNotFound                  404  this user has no such turn
    ├── ToolCallNotFound              404  this user has no such call of a tool
    ├── ToolCallDecided               409  the call of a tool does not wait for a decision
    ├── ThreadBusy                    409  an answer is being written in this conversation
    ├── BudgetExhausted               429  the tokens of the user or of the site are used up
    │   └── BudgetConflict            409  the same, where the site answers so
    ├── BudgetUsedUp                  429  they were used up within the turn, before there was any text
    ├── StorageFailed                 500  the database refuses the question's rows
    ├── DatabaseUnavailable           503  the database cannot be reached
    ├── IdempotencyKeyReused          422  its Idempotency-Key belongs to another question
    ├── TurnInterrupted               503  the process that wrote the answer died
    ├── SiteThrottled                 429  all users together have asked too much in this minute
    ├── TooManyTurns                  429  this user has as many turns running as the site allows
    ├── ChatBusy                      503  this process or the site has, and the queue is full or slow
    ├── ServerStopping                503  the server process is being stopped
    ├── AnswerTooLong                 502  the answer is longer than the site allows
    ├── TurnTooLong                   504  the whole turn took longer than the site allows
    └── ProviderError                 502  the base of providers' failures
        ├── ProviderUnreachable       502  no connection, or it broke
        ├── ProviderRefused           502  it rejects the request: key, model, parameters
        ├── ProviderRefusedQuestion   422  it answers others, but refuses this question
        │   └── ContextExceeded       422  the question does not fit into the model's context
        ├── ProviderFailed            502  it failed, before its answer or within it
        ├── ProviderIncomplete        502  its stream ended without a sign that it is complete
        ├── ProviderEmpty             502  its stream is complete, but has no answer in it
        ├── InvalidAnswer             502  its answers do not fit the schema that was asked for
        ├── ProviderBusy              503  overloaded or rate-limited
        ├── ProviderUnavailable       503  the circuit breaker is open: it failed repeatedly
        ├── ProviderConnectTooSlow    504  it did not accept the connection in time
        ├── ProviderTooSlow           504  it did not start to answer in time
        └── ProviderSilent            504  it was silent for too long during its answer

Wrong settings stand outside this tree: they are Django's `ImproperlyConfigured`.
"""

from __future__ import annotations

from waldur_chat.errors.base import (
    ChatError,
)
from waldur_chat.errors.codes import (
    kind_of_code,
    of_code,
)
from waldur_chat.errors.limits import (
    AnswerTooLong,
    BudgetConflict,
    BudgetExhausted,
    BudgetUsedUp,
    ChatBusy,
    SiteThrottled,
    TooManyTurns,
    TurnTooLong,
)
from waldur_chat.errors.providers import (
    ContextExceeded,
    InvalidAnswer,
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderEmpty,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderSilent,
    ProviderTooSlow,
    ProviderUnavailable,
    ProviderUnreachable,
)
from waldur_chat.errors.requests import (
    ChatDisabled,
    ChatNotConfigured,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    InvalidQuestion,
    ServerStopping,
    StorageFailed,
    ThreadBusy,
    ThreadNotFound,
    ToolCallDecided,
    ToolCallNotFound,
    TurnCancelled,
    TurnInterrupted,
    TurnNotFound,
)

QuestionRefused = InvalidQuestion
"""The earlier name, kept for code that imports it."""

__all__ = [
    "AnswerTooLong",
    "BudgetConflict",
    "BudgetExhausted",
    "BudgetUsedUp",
    "ChatBusy",
    "ChatDisabled",
    "ChatError",
    "ChatNotConfigured",
    "ContextExceeded",
    "DatabaseUnavailable",
    "IdempotencyKeyReused",
    "InvalidAnswer",
    "InvalidQuestion",
    "ProviderBusy",
    "ProviderConnectTooSlow",
    "ProviderEmpty",
    "ProviderError",
    "ProviderFailed",
    "ProviderIncomplete",
    "ProviderRefused",
    "ProviderRefusedQuestion",
    "ProviderSilent",
    "ProviderTooSlow",
    "ProviderUnavailable",
    "ProviderUnreachable",
    "QuestionRefused",
    "ServerStopping",
    "SiteThrottled",
    "StorageFailed",
    "ThreadBusy",
    "ThreadNotFound",
    "TooManyTurns",
    "ToolCallDecided",
    "ToolCallNotFound",
    "TurnCancelled",
    "TurnInterrupted",
    "TurnNotFound",
    "TurnTooLong",
    "kind_of_code",
    "of_code",
]
