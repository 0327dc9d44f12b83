"""What a model is told of the result of a call."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.tools.mcp.content import result_of

TEXT = {"type": "text", "text": "One."}


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ([TEXT], "One."),
        ([TEXT, {"type": "text", "text": "Two."}], "One.\n\nTwo."),
        ([{"type": "image", "data": "aGk=", "mimeType": "image/png"}], "[image, not shown: image/png]"),
        ([{"type": "audio", "data": "aGk="}], "[audio, not shown: of no known type]"),
        ([{"type": "hologram"}], "[hologram, not shown: of no known type]"),
        ([{"type": 7}, {}], "[something, not shown: of no known type]\n\n[something, not shown: of no known type]"),
        (
            [{"type": "resource_link", "uri": "file:///a", "name": "a", "mimeType": "text/plain"}],
            "[link: a, text/plain, file:///a]",
        ),
        ([{"type": "resource", "resource": {"uri": "file:///a", "text": "inner"}}], "file:///a\ninner"),
        ([{"type": "resource", "resource": {"uri": "file:///a", "blob": "aGk="}}], "[file, not shown: file:///a]"),
        ([{"type": "resource"}, TEXT], "One."),
        ([{"type": "text"}, "x", 7, TEXT], "One."),
        ([], None),
        ({"a": 1}, None),
        (7, None),
        (None, None),
    ],
)
def test_content_becomes_text(content: Any, data: Any) -> None:
    result = result_of({"content": content})
    assert (result.outcome, result.data) == ("success", data)


@pytest.mark.parametrize("data", [{"a": [1]}, [1], "x", 0, False])
def test_structured_content_is_the_data(data: Any) -> None:
    result = result_of({"resultType": "complete", "content": [TEXT], "structuredContent": data})
    assert (result.data, result.summary) == (data, "One.")


def test_a_long_text_has_a_short_summary() -> None:
    result = result_of({"content": [{"type": "text", "text": "a\n" * 1000}]})
    assert len(result.summary) == 200
    assert result.summary.endswith("a…")


def test_an_error_of_the_tool_is_told_as_one() -> None:
    result = result_of({"content": [TEXT], "isError": True})
    assert (result.outcome, result.error) == ("error", "One.")


def test_halves_of_characters_are_replaced() -> None:
    result = result_of({"content": [{"type": "text", "text": "a\ud83db"}], "structuredContent": {"\ud83d": "\ud83d"}})
    assert (result.data, result.summary) == ({"\ufffd": "\ufffd"}, "a\ufffdb")


def test_a_result_that_is_nested_without_end_is_an_error() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert result_of({"structuredContent": deep}).error == "Its result is nested too deeply."
    while deep:  # Else its destruction is too deep for some releases of Python.
        deep = deep["a"]


def test_an_error_without_words_is_told() -> None:
    assert result_of({"isError": True}).error == "The tool failed, and did not say why."


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        (
            {"name": {"method": "elicitation/create", "params": {"message": "Your name?"}}},
            "It asks the user for something, which it cannot do here: Your name?",
        ),
        ({"a": {"method": "sampling/createMessage"}}, "It wants 'sampling/createMessage', which is not supported"),
        ({"a": 7}, "The server asks for more"),
        (None, "The server asks for more"),
    ],
)
def test_a_server_that_needs_more_is_told_as_an_error(requests: Any, words: str) -> None:
    result = result_of({"resultType": "input_required", "inputRequests": requests, "requestState": "secret"})
    assert result.outcome == "error"
    assert words in result.error
    assert "secret" not in result.error
