"""Where the arguments of a call come from: nothing is claimed that does not stand there literally."""

from __future__ import annotations

import json
from typing import Any

import pytest

from waldur_chat.store.turns.calls.sources import EarlierResult, Sources
from waldur_chat.turns.tools import origins
from waldur_chat.turns.tools.origins import MODEL, USER, origins_of, stands_in

LISTED = {"source": "result", "tool": "list_projects"}


def origin(value: Any, *own: str, **results: Any) -> list[Any]:
    """The origins of one argument, by what the user has said, and by the results of tools."""
    earlier = [
        EarlierResult(tool=name, arguments="{}", text=text if isinstance(text, str) else json.dumps(text))
        for name, text in results.items()
    ]
    return origins_of({"a": value}, Sources(own=own, results=tuple(earlier)))["a"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("web-1", "Create a VM called web-1."),
        ("web-1", 'Project: Apollo. Name: "web-1".'),
        ("Apollo", "Apollo's machines"),
        ("my project", "in my project, please"),
        ("Zürich", "nach Zürich!"),
        ("a@example.com", "write to <a@example.com>"),
        ("https://example.com/a?b=1", "look at https://example.com/a?b=1"),
        ("EE", "country EE"),
        (5, "give it 5 disks"),
        (5, "5"),
        ("5", "give it 5."),
        (-5, "shift by -5"),
        (1.5, "1.5 GB"),
        (1024, "1024 MB"),
        (443, "port 443"),
        ("2026-11-30", "until 2026-11-30"),
    ],
)
def test_what_the_user_has_written_is_from_them(value: Any, said: str) -> None:
    assert origin(value, said) == [USER]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "11"),
        ("1", "web-1"),
        ("web", "web-1"),
        ("web-1", "web-10"),
        ("web-1", "my-web-1"),
        ("web-1", "Web-1"),
        ("web-1", "web-1.example.com"),
        ("example", "a@example.com"),
        ("cafe", "cafe\u0301"),
        ("cafe", "cafe\u200dx"),
        ("a", "a machine"),
        ("", "anything"),
        ("  ", "a  b"),
        (5, "-5"),
        (5, "5.5"),
        (5, ".5"),
        (5, "10:5"),
        (5, "5,000"),
        (5, "5 000"),
        (500, "1 500"),
        (500, "1\u202f500"),
        (500, "1'500"),
        (5, "5GB"),
        (5, "five"),
        (5.0, "5"),
        (10, "10:30"),
        (12, "12/2026"),
        (True, "true"),
        (None, "null"),
        ("small", "a tiny machine"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_what_is_in_doubt_is_made_by_the_model(value: Any, said: str) -> None:
    assert origin(value, said) == [MODEL]


def test_a_value_counts_wherever_it_stands_for_itself() -> None:
    assert stands_in("web", "web-1, my-web and web")


def test_a_value_is_not_looked_for_everywhere() -> None:
    assert not stands_in("ab", "xab " * origins.MOST_PLACES + "ab")


def test_a_value_of_a_result_names_its_tool() -> None:
    rows = {"rows": [{"uuid": "3f2a-77", "name": 'He said "so"', "size": 2048}]}
    assert origin("3f2a-77", "no", list_projects=rows) == [LISTED]
    assert origin('He said "so"', list_projects=rows) == [LISTED]
    assert origin(2048, list_projects=rows) == [LISTED]


def test_a_result_that_was_cut_is_read_as_text() -> None:
    assert origin("Apollo", list_projects='{"rows":[{"name":"Apollo","uu [Cut: 9 of 90 characters.]') == [LISTED]


def test_what_the_user_has_said_is_from_them_although_a_result_has_it_too() -> None:
    assert origin("Apollo", "in Apollo", list_projects=[{"name": "Apollo"}]) == [USER]


@pytest.mark.parametrize("value", [2, "OK", "rows", "size", True])
def test_results_are_no_source_of_what_stands_in_any_of_them(value: Any) -> None:
    assert origin(value, list_projects={"rows": [{"size": 2, "state": "OK", "on": True}]}) == [MODEL]


def test_a_result_that_repeats_its_own_call_is_no_source() -> None:
    echo = EarlierResult(tool="check", arguments='{"name":"made-up"}', text="made-up is free, as is other-1")
    found = origins_of({"a": "made-up", "b": "other-1"}, Sources(results=(echo,)))
    assert found == {"a": [MODEL], "b": [{"source": "result", "tool": "check"}]}


def test_parts_of_an_argument_have_their_own_origins() -> None:
    found = origin(["web-1", "web-2", "web-3"], "web-1", list_projects=["web-2"])
    assert found == [USER, LISTED, MODEL]
    assert origin(["web-1", "web-1"], "web-1") == [USER]


def test_the_names_within_an_argument_are_parts_of_it() -> None:
    assert origin({"owner": "alice"}, "for alice") == [MODEL, USER]
    assert origin({"owner": "alice"}, "the owner is alice") == [USER]


def test_of_very_many_parts_the_rest_is_made_by_the_model() -> None:
    values = ["web-1"] * (origins.MOST_VALUES + 1)
    assert origins_of({"a": values, "b": "web-1"}, Sources(own=("web-1",))) == {"a": [USER, MODEL], "b": [MODEL]}
