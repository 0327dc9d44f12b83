"""Results: what the model gets of them, cut to size, and what a page may open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from waldur_chat.tools.results import ToolResult, is_safe_link

ROWS = [{"name": f"project {number}", "state": "active"} for number in range(100)]


def test_what_fits_is_whole() -> None:
    assert ToolResult(data={"a": ["ä", 1]}).text_for_model(100) == '{"a":["ä",1]}'
    assert ToolResult(summary="Done.").text_for_model(100) == "Done."
    assert ToolResult.failed("No.").text_for_model(100) == "No."


@pytest.mark.parametrize("limit", [200, 333, 1000, 3000])
def test_rows_that_do_not_fit_are_left_out_whole(limit: int) -> None:
    text = ToolResult(data={"rows": ROWS, "total": 812}, advice="Use search.").text_for_model(limit)
    data = json.loads(text)
    assert len(text) <= limit < len(json.dumps({**data, "rows": ROWS[: len(data["rows"]) + 1]}))
    assert data["rows"] == ROWS[: len(data["rows"])]
    assert data["more"] == f"Only the first {len(data['rows'])} of these 100 rows fit. Use search."


@pytest.mark.parametrize("data", ["x" * 5000, {"rows": ["y" * 5000], "total": 1}, {"a": "z" * 5000}])
@pytest.mark.parametrize("limit", [10, 100, 4999])
def test_what_has_no_rows_is_cut_with_a_note(data: Any, limit: int) -> None:
    text = ToolResult(data=data).text_for_model(limit)
    assert len(text) <= limit
    assert limit < 100 or text.endswith("Ask for less, as by filters.]")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ToolResult(summary="Done.", data=[]), {"type": "success", "summary": "Done.", "data": []}),
        (ToolResult.invalid("No."), {"type": "validation_error", "summary": "No.", "error": "No."}),
        (
            ToolResult(ui_component="resource_list", ui_data={"state": ("OK",)}),
            {"type": "success", "summary": "", "ui_component": "resource_list", "ui_data": {"state": ["OK"]}},
        ),
    ],
)
def test_the_object_has_what_there_is(result: ToolResult, expected: dict[str, Any]) -> None:
    assert result.as_json() == expected


@pytest.mark.parametrize("address", ["https://a.example/b?c#d", "http://a", "/b/", "b/c", "?page=2", "#d", ""])
def test_a_page_may_open(address: str) -> None:
    assert is_safe_link(address)


UNSAFE = ["javascript:alert(1)", " javascript:alert(1)", "java\nscript:x", "data:text/html,x", "vbscript:x"]
ELSEWHERE = ["//evil.example", "\\\\evil", "/\\evil.example", "http://[", 7]


@pytest.mark.parametrize("address", [*UNSAFE, *ELSEWHERE])
def test_a_page_must_not_open(address: Any) -> None:
    assert not is_safe_link(address)
