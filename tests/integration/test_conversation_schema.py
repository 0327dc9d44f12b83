"""What the OpenAPI document says of conversations: names, parameters and components as published clients have them."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from waldur_chat.api.serializers.messages import BLOCK_KEYS

OPERATIONS = {
    "chat_threads_list": ("get", "/api/chat-threads/"),
    "chat_threads_retrieve": ("get", "/api/chat-threads/{uuid}/"),
    "chat_threads_create": ("post", "/api/chat-threads/"),
    "chat_threads_update": ("put", "/api/chat-threads/{uuid}/"),
    "chat_threads_partial_update": ("patch", "/api/chat-threads/{uuid}/"),
    "chat_threads_destroy": ("delete", "/api/chat-threads/{uuid}/"),
    "chat_threads_archive": ("post", "/api/chat-threads/{uuid}/archive/"),
    "chat_threads_unarchive": ("post", "/api/chat-threads/{uuid}/unarchive/"),
    "chat_threads_cancel": ("post", "/api/chat-threads/{uuid}/cancel/"),
    "chat_threads_stats_retrieve": ("get", "/api/chat-threads/stats/"),
    "chat_messages_list": ("get", "/api/chat-messages/"),
    "chat_messages_create": ("post", "/api/chat-messages/"),
    "chat_messages_retrieve": ("get", "/api/chat-messages/{uuid}/"),
    "chat_messages_edit": ("post", "/api/chat-messages/{uuid}/edit/"),
    "chat_messages_history_list": ("get", "/api/chat-messages/{uuid}/history/"),
    "chat_messages_feedback": ("post", "/api/chat-messages/{uuid}/feedback/"),
    "chat_sessions_list": ("get", "/api/chat-sessions/"),
    "chat_sessions_retrieve": ("get", "/api/chat-sessions/{uuid}/"),
    "chat_sessions_current_retrieve": ("get", "/api/chat-sessions/current/"),
    "chat_sessions_current_destroy": ("delete", "/api/chat-sessions/current/"),
    "chat_sessions_current_export": ("get", "/api/chat-sessions/current/export/"),
}
COMPONENTS = {
    "ThreadSession", "ThreadSessionRequest", "Message", "MessageFeedbackRequest", "ChatSession",
    "ChatThreadStatsResponse", "FeedbackCategoryEnum", "InjectionSeverityEnum", "ActionTakenEnum", "MessageRoleEnum",
    "AnswerStatusEnum",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> Any:
    """The document as it is now."""
    output = StringIO()
    call_command("spectacular", stdout=output)
    return yaml.safe_load(output.getvalue())


def parameters(document: Any, operation: str) -> dict[str, Any]:
    """The parameters of an operation by name."""
    method, path = OPERATIONS[operation]
    return {one["name"]: one for one in document["paths"][path][method].get("parameters", [])}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_have_the_names_of_clients(document: Any, operation: str) -> None:
    method, path = OPERATIONS[operation]
    found = document["paths"][path][method]
    assert (found["operationId"], found["tags"]) == (operation, ["-".join(operation.split("_")[:2])])


def test_components_have_the_names_of_clients(document: Any) -> None:
    assert set(document["components"]["schemas"]) >= COMPONENTS


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_parameter_has_a_type(document: Any, operation: str) -> None:
    assert all(one["schema"]["type"] for one in parameters(document, operation).values())


def test_parameters_name_the_list_that_they_choose_from(document: Any) -> None:
    found = {
        operation: {name: one.get("x-waldur-operation-id") for name, one in parameters(document, operation).items()}
        for operation in ("chat_threads_list", "chat_threads_stats_retrieve", "chat_messages_list")
    }
    assert found["chat_threads_list"]["user"] == "chat_sessions_list"
    assert found["chat_threads_stats_retrieve"]["user"] == "chat_sessions_list"
    assert found["chat_messages_list"]["thread"] == "chat_threads_list"


@pytest.mark.parametrize("operation", ["chat_threads_list", "chat_sessions_list"])
def test_lists_are_bare_arrays_in_pages(document: Any, operation: str) -> None:
    method, path = OPERATIONS[operation]
    answer = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["type"] == "array"
    assert {"page", "page_size", "field"} <= set(parameters(document, operation))


@pytest.mark.parametrize("name", ["ThreadSession", "ChatSession"])
def test_what_can_be_left_out_is_not_required(document: Any, name: str) -> None:
    assert "required" not in document["components"]["schemas"][name]


def test_a_client_can_write_a_name_and_a_flag_only(document: Any) -> None:
    assert list(document["components"]["schemas"]["ThreadSessionRequest"]["properties"]) == ["name", "is_archived"]


def test_blocks_have_the_keys_that_clients_know(document: Any) -> None:
    block = document["components"]["schemas"]["Message"]["properties"]["blocks"]["items"]
    assert block["required"] == ["id", "key", "status"]
    assert tuple(block["properties"]["key"]["enum"]) == BLOCK_KEYS
