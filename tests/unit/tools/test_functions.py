"""Functions as tools: hints and docstrings become schemas, and JSON becomes what the hints say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID

import pytest

from tests.integration.tools.chat_tools import Size, quote, tell
from waldur_chat.schemas.type_hints import read
from waldur_chat.tools import ToolContext, tool
from waldur_chat.tools.arguments import InvalidArguments
from waldur_chat.tools.functions.declared import UnusableFunction

KEY = "6f4a9d3e-0000-4000-8000-000000000001"
CONTEXT = ToolContext(user=None)


def test_a_function_is_described_by_its_hints_and_docstring() -> None:
    assert (quote.name, quote.description, quote.is_safe) == ("quote", "Say what a machine costs.", True)
    assert quote.schema["required"] == ["size"]
    assert quote.schema["properties"]["size"] == {"description": "How large it is.", "enum": ["small", "large"]}
    assert quote.schema["properties"]["hours"] == {"description": "For how long.", "type": "integer"}
    assert quote.schema["properties"]["rate"]["description"] == "For an hour."
    assert "context" not in quote.schema["properties"]


def test_options_are_those_of_tools() -> None:
    assert (tell.name, tell.roles, tell.approval, tell.outward, tell.timeout_seconds) == (
        "whoami",
        "staff",
        "never",
        True,
        5,
    )
    assert tell.description == "Say who asks."
    assert tool(name="", description="Own.")(lambda: None).description == "Own."


def test_it_is_still_a_function() -> None:
    @tool
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert (double(4), double.execute(CONTEXT, {"number": 5})) == (8, 10)


@pytest.mark.parametrize(
    ("hint", "schema", "given", "made"),
    [
        (str, {"type": "string"}, "a", "a"),
        (int, {"type": "integer"}, 4.0, 4),
        (float, {"type": "number"}, 4, 4.0),
        (Any, {}, [1], [1]),
        (UUID, {"type": "string", "format": "uuid"}, KEY, UUID(KEY)),
        (date, {"type": "string", "format": "date"}, "2026-11-30", date(2026, 11, 30)),
        (
            datetime,
            {"type": "string", "format": "date-time"},
            "2026-11-30T01:02:03Z",
            datetime(2026, 11, 30, 1, 2, 3, tzinfo=timezone.utc),
        ),
        (Decimal, {"type": ["number", "string"]}, 0.1, Decimal("0.1")),
        (Size, {"enum": ["small", "large"]}, "large", Size.LARGE),
        (Literal["a", 2], {"enum": ["a", 2]}, 2, 2),
        (list[UUID], {"type": "array", "items": {"type": "string", "format": "uuid"}}, [KEY], [UUID(KEY)]),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}, [1], [1]),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": 1}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": 1}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, None),  # noqa: UP045  # Another class.
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 3, 3),
        (
            Union[UUID, str],  # noqa: UP007  # The same.
            {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string"}]},
            "not a uuid",
            "not a uuid",
        ),
        (Annotated[int, 7], {"type": "integer"}, 3, 3),
        (Annotated[int, "How many."], {"type": "integer", "description": "How many."}, 3, 3),
    ],
)
def test_a_hint_has_a_schema_and_makes_values(hint: Any, schema: dict[str, Any], given: Any, made: Any) -> None:
    found = read(hint)
    assert (dict(found.schema), found.convert(given)) == (schema, made)


def test_a_value_that_cannot_be_made_is_a_wrong_argument() -> None:
    @tool
    def find(key: UUID | date) -> None:
        """Find it."""

    with pytest.raises(InvalidArguments, match=r"key: 'x' is not valid\."):
        find.execute(CONTEXT, {"key": "x"})


def unusable(made: Any) -> str:
    """Why it cannot be a tool."""
    assert isinstance(made, UnusableFunction)
    return str(made.problem)


def test_a_type_without_a_schema_is_a_problem_and_the_function_stays_one() -> None:
    def find(key: bytes) -> str:
        return "found"

    made = tool(find)
    assert unusable(made).startswith(f"{__name__}.{find.__qualname__}: it cannot be a tool: TypeError: ")
    assert "has no JSON Schema" in unusable(made)
    assert made(b"") == "found"


def test_a_parameter_without_a_type_is_a_problem() -> None:
    def find(key) -> None: ...

    assert "find(): the parameter 'key' has no type." in unusable(tool(find))


def test_a_type_that_is_not_known_is_a_problem() -> None:
    def find(key: Ket) -> None: ...  # noqa: F821

    assert "NameError: name 'Ket' is not defined" in unusable(tool(find))


def test_an_unknown_option_is_a_problem() -> None:
    assert "tool() has no option 'saef'." in unusable(tool(saef=True)(lambda: None))  # type: ignore[call-overload]


def test_an_object_that_is_no_function_is_a_problem() -> None:
    assert "functools.partial: it cannot be a tool: AttributeError: " in unusable(tool(partial(print)))
