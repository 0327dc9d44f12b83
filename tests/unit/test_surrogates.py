"""Characters that a provider cut in two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waldur_chat.engine.answer_writer import SurrogateJoiner

ANY_UNITS = st.text(alphabet=st.characters(exclude_categories=()))


def join(pieces: list[str]) -> str:
    joiner = SurrogateJoiner()
    return "".join([*(joiner.feed(piece) for piece in pieces), joiner.flush()])


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([], ""),
        ([""], ""),
        (["plain", " text"], "plain text"),
        (["Grüße 🙂"], "Grüße 🙂"),
        (["\ud83d", "\ude42"], "🙂"),
        (["a\ud83d", "", "\ude42b"], "a🙂b"),
        (["\ud83d\ude42"], "🙂"),
        (["\ud83d", "x"], "\ufffdx"),
        (["x", "\ude42"], "x\ufffd"),
        (["\ud83d", "\ud83d", "\ude42"], "\ufffd🙂"),
        (["end\ud83d"], "end\ufffd"),
    ],
)
def test_halves_find_each_other(pieces: list[str], text: str) -> None:
    assert join(pieces) == text


@given(st.lists(ANY_UNITS))
def test_what_comes_out_can_be_encoded(pieces: list[str]) -> None:
    join(pieces).encode()


@given(st.lists(ANY_UNITS))
def test_the_cuts_do_not_matter(pieces: list[str]) -> None:
    assert join(pieces) == join(["".join(pieces)])


@given(st.text(), st.data())
def test_text_that_was_cut_into_halves_is_whole_again(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cut = 2 * data.draw(st.integers(0, len(units) // 2))
    pieces = [part.decode("utf-16-le", "surrogatepass") for part in (units[:cut], units[cut:])]
    assert join(pieces) == text
