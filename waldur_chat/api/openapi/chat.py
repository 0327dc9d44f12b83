"""The OpenAPI document: `invoke`, `stream`, and the events of a turn (contract section 1)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from waldur_chat.api.openapi.inspector import describe
from waldur_chat.api.serializers.chat import ChatErrorSerializer
from waldur_chat.api.serializers.config import ChatConfigSerializer
from waldur_chat.api.serializers.health import ChatHealthSerializer, ChatReadySerializer
from waldur_chat.wire.encoders import ENCODERS

ERRORS = {
    400: "The body is not valid. What is wrong stands under the name of the field.",
    401: "No valid credentials were given.",
    403: "This user may not chat.",
    404: "The chat is switched off.",
    406: "No format of `Accept` can be given.",
    409: "The chat has no working model provider.",
    411: "The body has no `Content-Length`.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The `Idempotency-Key` was used for another question.",
    429: "Too many requests or running answers of this user. `Retry-After` says when to try again.",
    502: "The model provider failed, or refused the request.",
    503: "The model provider or the site is busy. `Retry-After` says when to try again.",
    504: "The model provider was too slow.",
}

ERROR_RESPONSES = {status: OpenApiResponse(ChatErrorSerializer, description=words) for status, words in ERRORS.items()}
ERROR_RESPONSES[400] = OpenApiResponse(OpenApiTypes.OBJECT, description=ERRORS[400])


def stream_formats() -> dict[Any, Any]:
    """The response 200 in each format. SSE is first, since generated clients use the first one only."""
    text = OpenApiResponse(OpenApiTypes.STR, description="LLM chat streamed response.")
    return {(200, encoder.media_type): text for encoder in ENCODERS.values()}


KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same question with the same key is asked once. At most 255 characters.",
)

DISCLOSURE = OpenApiParameter(
    "AI-Disclosure",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200],
    description="`mode=ai-originated`: an AI system wrote the answer (draft-abaris-aicdh).",
)

invoke = describe(
    operation_id="chat_invoke",
    tags=["chat"],
    summary="Invoke the chat model",
    description="Answers when the whole answer is there. Without a body the assistant opens the conversation.",
    parameters=[KEY, DISCLOSURE],
    responses={200: OpenApiResponse(OpenApiTypes.STR, description="The whole answer."), **ERROR_RESPONSES},
)

events = describe(
    operation_id="chat_turns_events",
    tags=["chat"],
    summary="Come back to an answer",
    description=(
        "What is missing of an answer of one's own at once, and the rest as it is written, in any process of the site. "
        "204: there is nothing more to come."
    ),
    parameters=[
        OpenApiParameter("uuid", OpenApiTypes.UUID, OpenApiParameter.PATH, description="`turn_uuid` of the stream."),
        OpenApiParameter(
            "after", OpenApiTypes.STR, description="The id of the last event that was received, or `Last-Event-ID`."
        ),
        OpenApiParameter("Last-Event-ID", OpenApiTypes.STR, OpenApiParameter.HEADER, description="See `after`."),
        DISCLOSURE,
    ],
    responses={
        **stream_formats(),
        204: OpenApiResponse(description="Everything was received already."),
        **{status: ERROR_RESPONSES[status] for status in (401, 403, 406)},
        400: OpenApiResponse(OpenApiTypes.OBJECT, description="`after` is no id of an event."),
        404: OpenApiResponse(ChatErrorSerializer, description="The user has no such answer."),
    },
)

stream = describe(
    operation_id="chat_stream",
    tags=["chat"],
    summary="Stream the answer of the chat model",
    description=(
        "Answers while the answer is written. `Accept` chooses between `text/event-stream` (the default), "
        "`application/x-ndjson` and `text/plain`. Every stream of events ends with an event that says whether the "
        "answer is complete."
    ),
    parameters=[KEY, DISCLOSURE],
    responses={**stream_formats(), **ERROR_RESPONSES},
)

config = describe(
    operation_id="chat_config_retrieve",
    tags=["chat-config"],
    summary="Show what everybody may know of the chat",
    responses={200: ChatConfigSerializer, 409: ERROR_RESPONSES[409]},
)

health = describe(
    operation_id="chat_health_retrieve",
    tags=["chat-health"],
    summary="Say that this process is alive",
    description="Neither the database nor credentials are read.",
    responses={200: ChatHealthSerializer},
)

ready = describe(
    operation_id="chat_ready_retrieve",
    tags=["chat-ready"],
    summary="Say whether this process is ready for requests",
    description="No model is asked. Staff is shown details.",
    parameters=[
        OpenApiParameter(
            "strict",
            OpenApiTypes.STR,
            enum=["1"],
            description="With `1` the status also counts what concerns the chat only: providers, breaker, room, queue.",
        )
    ],
    responses={
        200: ChatReadySerializer,
        503: OpenApiResponse(
            ChatReadySerializer, description="The database is down, migrations are missing, or the server is stopping."
        ),
    },
)
