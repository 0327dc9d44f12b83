"""Tools by words: what fits is found, in the same order each time, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.tools import Tool
from waldur_chat.tools.search.ranking import ranked
from waldur_chat.tools.search.search_tools import NOTHING_FOUND, SearchTools
from waldur_chat.waldur_tools import WALDUR_TOOLS


class Named(Tool):
    """A tool with words only."""

    def __init__(self, name: str, description: str = "", properties: Any = None) -> None:
        self.name, self.description = name, description
        self.schema = {"type": "object", "properties": properties or {}}


WALDUR = [
    Named(name, entry.get("DESCRIPTION", ""), {one: {} for one in entry.get("PARAMETERS", ())})
    for name, entry in WALDUR_TOOLS.items()
]


def best(query: str, tools: list[Tool] = WALDUR) -> list[str]:  # type: ignore[assignment]
    return [tool.name for tool in ranked(query, tools)]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("invoices", "list_invoices"),
        ("invoicing", "list_invoices"),
        ("why is my virtual machine erred", "list_resources"),
        ("credit of a project", "list_project_credits"),
        ("CPU hours used last month", "get_resource_usage"),
        ("support tickets and requests", "list_support_issues"),
        ("deadlines of calls", "list_calls"),
        ("proposals that I have written", "list_proposals"),
        ("listOrders", "list_orders"),
    ],
)
def test_what_fits_is_among_the_first_two(query: str, name: str) -> None:
    assert name in best(query)[:2]


def test_names_come_first_in_the_order_of_the_query() -> None:
    assert best("list_orders, list_events") == ["list_orders", "list_events"]
    assert best("list_events; invoice")[:2] == ["list_events", "get_invoice"]


def test_what_shares_no_word_is_not_found() -> None:
    assert best("weather") == best("") == best("!?") == best("arved ja kasutus") == []


def test_words_of_most_tools_say_nothing() -> None:
    assert best("list the") == []
    assert best("list the events") == ["list_events"]


def test_tools_of_equal_rank_stay_in_their_order() -> None:
    tools: list[Tool] = [Named("c", "red"), Named("a", "red"), Named("b", "blue"), Named("d"), Named("e")]
    assert best("red", tools) == ["c", "a"]


def test_a_tool_with_few_of_the_words_is_left_out() -> None:
    tools: list[Tool] = [Named("a_red_fox"), Named("b", "red"), Named("c"), Named("d"), Named("e")]
    assert best("red fox", tools) == ["a_red_fox"]


def test_descriptions_of_parameters_count() -> None:
    odd = Named("odd", "", {"x": {"description": "In Kelvin."}, "y": True})
    assert best("kelvin", [odd, Named("other"), Named("third")]) == ["odd"]


def test_a_word_of_the_only_tool_counts() -> None:
    assert best("red", [Named("a", "red")]) == ["a"]


def test_other_scripts_have_words() -> None:
    assert best("проекты", [Named("a", "Показать проекты."), Named("b"), Named("c")]) == ["a"]


def search(query: str, tools: list[Tool], most: int = 8) -> Any:
    return SearchTools(tools, most).execute(None, {"query": query})  # type: ignore[arg-type]


def test_a_search_tells_what_it_has_loaded() -> None:
    result = search("list_events list_orders", WALDUR)  # type: ignore[arg-type]
    assert (result.summary, result.data) == (
        "Loaded: list_events, list_orders.",
        {"loaded": ["list_events", "list_orders"]},
    )


def test_a_search_loads_no_more_than_there_is_room_for() -> None:
    assert search("list_events list_orders", WALDUR, 1).data == {"loaded": ["list_events"]}  # type: ignore[arg-type]


def test_a_search_without_success_tells_how_to_go_on() -> None:
    assert search("weather", WALDUR).data == {"loaded": [], "advice": NOTHING_FOUND}  # type: ignore[arg-type]


def test_the_description_names_all_tools_as_long_as_there_is_room() -> None:
    assert SearchTools([Named("a"), Named("b")]).description.endswith("Tools: a, b")
    many = SearchTools([Named(f"tool_{number:04}") for number in range(1000)]).description
    assert len(many) < 6500
    assert many.endswith("tool_0543, tool_0544, and 455 more, which words find.")
