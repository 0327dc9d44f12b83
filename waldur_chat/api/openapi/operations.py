"""The OpenAPI document: threads, messages, sessions, prompts and quotas. Clients are generated from these names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from waldur_chat.api.openapi.inspector import describe
from waldur_chat.api.serializers.chat import ChatErrorSerializer

_ALWAYS = {
    401: "No valid credentials were given.",
    403: "This user may not.",
    411: "The body has no `Content-Length`.",
    429: "Too many requests of this user. `Retry-After` says when to try again.",
}
_REFUSALS = {
    400: "What is not valid stands under its name.",
    404: "There is no such thing, or the user may not know of it.",
    409: "An answer is being written in this conversation.",
    413: "The body is too large.",
    415: "The body is not JSON.",
}

UUID_IN_PATH = OpenApiParameter("uuid", OpenApiTypes.UUID, OpenApiParameter.PATH, description="Its UUID.")
THREAD = OpenApiParameter(
    "thread",
    OpenApiTypes.UUID,
    description="The conversation; without it the newest messages are listed.",
    extensions={"x-waldur-operation-id": "chat_threads_list"},
)
USER = OpenApiParameter(
    "user",
    OpenApiTypes.UUID,
    description="Its owner.",
    extensions={"x-waldur-operation-id": "chat_sessions_list"},
)

PAGES = (
    OpenApiParameter("page", OpenApiTypes.INT, description="Which page, counted from 1."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description="How many there are on a page: 10, or up to 300."),
)


def fields_of(serializer_class: Any) -> OpenApiParameter:
    """The parameter with which clients request some fields only."""
    return OpenApiParameter(
        "field", OpenApiTypes.STR, many=True, enum=sorted(serializer_class().fields), description="Fields to show."
    )


def operation(
    name: str, summary: str, answer: Any, *refusals: int, status: int = 200, **options: Any
) -> Callable[[Any], Any]:
    """Describe a view: its name in clients, its response, and its error statuses besides those that all views have.

    The tag, which is the module in generated clients, consists of the first two words of the name.
    """
    problems = {**_ALWAYS, **{refusal: _REFUSALS[refusal] for refusal in refusals}}
    if options.setdefault("request", None):
        problems |= {refusal: _REFUSALS[refusal] for refusal in (400, 413, 415)}
    responses = {refusal: _problem(refusal, words) for refusal, words in sorted(problems.items())}
    answers = answer if isinstance(answer, dict) else {status: answer}
    options.setdefault("tags", ["-".join(name.split("_")[:2])])
    return describe(operation_id=name, summary=summary, responses={**answers, **responses}, **options)


def _problem(status: int, words: str) -> OpenApiResponse:
    return OpenApiResponse(OpenApiTypes.OBJECT if status == 400 else ChatErrorSerializer, description=words)
