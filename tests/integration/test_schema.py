"""The OpenAPI document: checked in, valid, without warnings, and named as the contract has it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.urls import reverse

SNAPSHOT = Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> str:
    """The document as it is now; any warning or error of the generator or the validator fails."""
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return output.getvalue()


@pytest.fixture(scope="module")
def paths(document: str) -> Any:
    """The operations of the document."""
    return yaml.safe_load(document)["paths"]


def test_the_document_is_the_one_that_is_checked_in(document: str) -> None:
    assert document == SNAPSHOT.read_text(), f"manage.py spectacular --file {SNAPSHOT.name} writes it anew"


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_operations_have_the_names_of_the_contract(paths: Any, operation: str) -> None:
    post = paths[f"/api/chat/{operation}/"]["post"]
    assert (post["operationId"], post["tags"]) == (f"chat_{operation}", ["chat"])
    assert reverse(f"chat-{operation}") == f"/api/chat/{operation}/"


def test_the_request_has_the_name_and_the_words_of_the_contract(document: str) -> None:
    component = yaml.safe_load(document)["components"]["schemas"]["ChatRequestRequest"]
    assert component["required"] == ["input"]
    assert component["properties"]["input"]["description"] == "User input text for the chat model."


def test_a_stream_is_events_first(paths: Any) -> None:
    answer = paths["/api/chat/stream/"]["post"]["responses"]["200"]
    assert next(iter(answer["content"])) == "text/event-stream"
    assert answer["description"] == "LLM chat streamed response."


def test_no_component_has_a_name_that_waldur_refuses(document: str) -> None:
    assert not {"ChatStreamResponse", "ChatInvokeResponse"} & set(yaml.safe_load(document)["components"]["schemas"])


def test_what_everybody_may_know_needs_no_token(paths: Any) -> None:
    config = paths["/api/chat/config/"]["get"]
    assert (config["operationId"], config["tags"], config["security"]) == (
        "chat_config_retrieve",
        ["chat-config"],
        [{}],
    )


def test_answers_are_marked_by_a_header(paths: Any) -> None:
    answers = [paths[f"/api/chat/{act}/"]["post"] for act in ("invoke", "stream")]
    answers.append(paths["/api/chat/turns/{uuid}/events/"]["get"])
    marked = [[status for status, one in answer["responses"].items() if "headers" in one] for answer in answers]
    assert marked == [["200"], ["200"], ["200"]]
