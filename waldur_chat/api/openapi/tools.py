"""The OpenAPI document: the execution of tools, and calls that wait for their user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

from waldur_chat.api.openapi.chat import DISCLOSURE, ERROR_RESPONSES, KEY, stream_formats
from waldur_chat.api.openapi.inspector import describe
from waldur_chat.api.openapi.operations import UUID_IN_PATH, operation
from waldur_chat.api.serializers.chat import ChatErrorSerializer
from waldur_chat.api.serializers.tools import ToolCallSerializer, ToolExecuteSerializer

_ANSWERS = {
    200: OpenApiResponse(
        OpenApiTypes.OBJECT,
        description="The result: `type` (`success` or `validation_error`), `summary`, and, where there are, `data`, "
        "`ui_component`, `ui_data`, `error`.",
    ),
    404: OpenApiResponse(ChatErrorSerializer, description="The chat is switched off."),
    409: OpenApiResponse(ChatErrorSerializer, description="The chat has no working model provider."),
    422: OpenApiResponse(ChatErrorSerializer, description="The tool failed, or may not be used for this."),
}

execute = operation(
    "chat_tools_execute",
    "Execute a tool and return the result",
    _ANSWERS,
    request=ToolExecuteSerializer,
    description="An act of the user: it needs no approval, and belongs to no conversation.",
)

_DECIDED = {
    **stream_formats(),  # First, since generated clients use the first one only.
    (200, "application/json"): OpenApiResponse(
        ToolCallSerializer, description="Other calls of the answer still wait: it goes on when the last is decided."
    ),
    **{status: ERROR_RESPONSES[status] for status in (401, 403, 406, 422, 429, 502, 503, 504)},
    404: OpenApiResponse(ChatErrorSerializer, description="The user has no such call, or the chat is switched off."),
    409: OpenApiResponse(
        ChatErrorSerializer,
        description="`tool_call_decided`: the call does not wait any more, and `status` is what it is; `thread_busy`.",
    ),
}


def _decision(name: str, summary: str, description: str) -> Callable[[Any], Any]:
    return describe(
        operation_id=name,
        tags=["chat-tool-calls"],
        summary=summary,
        description=description,
        request=None,
        parameters=[UUID_IN_PATH, KEY, DISCLOSURE],
        responses=_DECIDED,
    )


approve = _decision(
    "chat_tool_calls_approve",
    "Approve a call of a tool",
    "Lets the call run as the user, and streams the rest of the answer, in the formats of `chat_stream`.",
)
deny = _decision(
    "chat_tool_calls_deny",
    "Deny a call of a tool",
    "The call is not run. Streams the rest of the answer, in the formats of `chat_stream`.",
)
