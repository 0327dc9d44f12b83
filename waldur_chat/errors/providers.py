"""Errors of providers: one that fails, and one that refuses the request or the question."""

from __future__ import annotations

from typing import Literal

from waldur_chat.errors.base import ChatError


class ProviderError(ChatError):
    """The base of providers' failures.

    `refuses_tools` means that the service may answer the same without tools: it says what they need there, "vllm",
    "llama.cpp", "model" (another one), or "unnamed"; empty otherwise. `refuses_json_schema`: the same without the
    schema of the answer; "service" if it takes none, "schema" if not this one.
    """

    code = "provider_failed"
    status = 502
    sentence = "The language model failed to answer. Try again in a moment."
    retryable = True
    refuses_tools: Literal["", "vllm", "llama.cpp", "model", "unnamed"] = ""
    refuses_json_schema: Literal["", "service", "schema"] = ""


class ProviderUnreachable(ProviderError):
    """The connection to the provider failed or broke."""

    code = "provider_unreachable"
    sentence = "The language model cannot be reached. Try again in a moment."


class ProviderRefused(ProviderError):
    """The provider rejects the request, whatever the question: the key, the model or a parameter is wrong.

    `provider_status` is the HTTP status of the rejection, if any; `about` is "key", "model", "parameter", or empty if
    the provider does not say it.
    """

    code = "provider_refused"
    sentence = "The language model refused the request. Ask the operator of this site to check its settings."
    retryable = False

    def __init__(self, message: str = "", *, provider_status: int | None = None, about: str = "") -> None:
        super().__init__(message)
        self.provider_status = provider_status
        self.about = about


class ProviderRefusedQuestion(ProviderError):
    """The provider answers, but not this question: its content or its form is refused. Another question may pass.

    `provider_status` is the HTTP status of the refusal, if any; `about` is "content", "length", or empty if the
    provider does not say it.
    """

    code = "question_refused"
    status = 422
    sentence = "The language model refused this question. Ask it in another way."
    retryable = False

    def __init__(self, message: str = "", *, provider_status: int | None = None, about: str = "") -> None:
        super().__init__(message)
        self.provider_status = provider_status
        self.about = about


class ContextExceeded(ProviderRefusedQuestion):
    """The prompt is longer than the model's context: `context_tokens`, None if the provider does not name its size."""

    code = "context_exceeded"
    sentence = "This question is too long for the language model. Shorten it."

    def __init__(
        self, message: str = "", *, provider_status: int | None = None, context_tokens: int | None = None
    ) -> None:
        super().__init__(message, provider_status=provider_status, about="length")
        self.context_tokens = context_tokens


class ProviderFailed(ProviderError):
    """The provider failed before or during its answer."""


class ProviderIncomplete(ProviderError):
    """The provider's stream ended without a sign that it is complete."""

    code = "provider_incomplete"
    sentence = "The language model broke off in the middle of its answer. Try again."


class ProviderEmpty(ProviderError):
    """The provider's stream ended properly, but nothing of an answer was understood in it."""

    code = "provider_empty"
    sentence = "The language model gave no answer. Try again, or ask in another way."


class InvalidAnswer(ProviderError):
    """Twice in a row the answer did not fit the schema that the host's code asked for.

    `text` is the last answer, and `problem` says what does not fit.
    """

    code = "invalid_answer"
    sentence = "The language model did not answer in the form that was asked for. Try again."

    def __init__(self, problem: str = "", text: str = "") -> None:
        super().__init__("The answer does not fit the schema.")
        self.problem = problem
        self.text = text


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
