"""Content negotiation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waldur_chat.wire.accept import choose

SSE, NDJSON, TEXT = OFFERED = ("text/event-stream", "application/x-ndjson", "text/plain")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", SSE),
        (" , ", SSE),
        ("*/*", SSE),
        ("text/*", SSE),
        ("application/*", NDJSON),
        (TEXT, TEXT),
        ("TEXT/PLAIN", TEXT),
        ("text/plain; charset=utf-8", TEXT),
        ("application/json", None),
        ("application/json, */*;q=0.1", SSE),
        ("*/*, application/x-ndjson", NDJSON),
        ("text/*, text/plain", TEXT),
        (f"{SSE};q=0.5, {NDJSON};q=0.9", NDJSON),
        (f"{NDJSON}; q = 0.9, {SSE};q=0.5", NDJSON),
        (f"{SSE};q=0, */*", NDJSON),
        (f"{SSE};q=0", None),
        ("*/*;q=0", None),
        (f"{SSE};q=0.2, {SSE};q=0.8, {NDJSON};q=0.5", SSE),
        (f"{NDJSON}, {SSE}", SSE),
        (f"{SSE};q=high, {NDJSON};q=0.9", SSE),
        (f"{SSE};q=0.5, {NDJSON};q=7", NDJSON),
        (f"{SSE};q=0.5, {NDJSON};q=nan", NDJSON),
    ],
)
def test_the_client_gets_what_it_likes_best(accept: str, chosen: str | None) -> None:
    assert choose(accept, OFFERED) == chosen


@given(st.text())
def test_no_header_breaks_it(accept: str) -> None:
    assert choose(accept, OFFERED) in (*OFFERED, None)
