"""An answer falls into the same blocks however its deltas are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waldur_chat.wire.blocks import Announced, BlockParser, FenceKey, Markdown, Piece, Whole, merge, split_into_blocks

LINES = st.sampled_from(
    ["```", "````", "~~~", " ```py\n", "\n```\n", "  ~~~\r", "`", "~", " ", "\r", "\n", "\r\n", "a"]
)
ANSWERS = st.lists(LINES, max_size=20).map("".join)
CONTENTS = st.text("a `~\t\\>é", max_size=9).filter(lambda line: "```" not in line)


def parse(*deltas: str) -> list[Piece]:
    parser = BlockParser()
    pieces = [piece for delta in deltas for piece in parser.feed(delta)]
    return [*merge([*pieces, *parser.finish()])]


def code(text: str, tag: str = "", key: FenceKey = "code") -> list[Piece]:
    return [Announced(key=key), Whole(key=key, tag=tag, text=text)]


def markdown(text: str) -> list[Piece]:
    return [Markdown(text=text)]


@given(ANSWERS)
def test_single_characters_give_the_same_pieces(answer: str) -> None:
    assert parse(*answer) == parse(answer)


@given(ANSWERS, st.data())
def test_the_cuts_do_not_matter(answer: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(answer)))
    assert parse(answer[:cut], "", answer[cut:]) == parse(answer)


@given(st.lists(st.text("`~a\r\n", max_size=9)))
def test_no_letter_is_lost(deltas: list[str]) -> None:
    letters = 0
    for piece in parse(*deltas):
        match piece:
            case Markdown(text=text):
                letters += text.count("a")
            case Whole(tag=tag, text=text):
                letters += (tag + text).count("a")
    assert letters == "".join(deltas).count("a")


@given(st.lists(CONTENTS.filter(lambda line: "~~~" not in line)))
def test_text_without_fences_stays_as_it_is(lines: list[str]) -> None:
    answer = "\r\n".join(["-", *lines])
    assert parse(answer) == markdown(answer)


@given(st.lists(CONTENTS.map(lambda line: f"{line}\n"), min_size=1).map("".join))
def test_what_was_fenced_comes_back(text: str) -> None:
    assert parse(f"before\n````py\n{text}\n````\nafter") == [
        *markdown("before\n"),
        *code(text, "py"),
        *markdown("after"),
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("cut", range(22))
def test_each_line_end_ends_a_line(line_end: str, cut: int) -> None:
    answer = "a\n```b\nc\n\nd\n```\n\ne".replace("\n", line_end)
    expected = [*markdown("a\n"), *code("c\n\nd", "b"), *markdown("\ne")]
    assert repr(parse(answer[:cut], answer[cut:])) == repr(expected).replace("\\n", repr(line_end)[1:-1])


@pytest.mark.parametrize("space", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_other_separators_do_not_end_a_line(space: str) -> None:
    assert parse(f"a{space}```{space}") == markdown(f"a{space}```{space}")


@pytest.mark.parametrize("opener", ["```", "~~~", "`````", " ```", "  ```", "   ~~~~", "``` \t"])
def test_a_fence_is_opened_by(opener: str) -> None:
    assert parse(f"{opener}\na\n{opener}\n") == code("a")


@pytest.mark.parametrize(
    "line", ["``", "~~", "``~", "~~`", "    ```", "\t```", "> ```", "a ```", "```a`", "`````a```", "` ``", "", " "]
)
def test_a_fence_is_not_opened_by(line: str) -> None:
    assert parse(f"{line}\na\n") == parse(*f"{line}\na\n") == markdown(f"{line}\na\n")


@pytest.mark.parametrize("closer", ["````", "``````", "   ````", "```` \t "])
def test_a_fence_is_closed_by(closer: str) -> None:
    assert parse(f"````\na\n{closer}\nb") == [*code("a"), *markdown("b")]


@pytest.mark.parametrize("line", ["```", "~~~~", "    ````", "\t````", "````a", "````\x0b", "> ````", "````~"])
def test_a_fence_is_not_closed_by(line: str) -> None:
    assert parse(f"````\n{line}\n````") == code(line)


@pytest.mark.parametrize(
    ("info", "tag"),
    [
        ("python", "python"),
        (" \tc++  ", "c++"),
        ('python title="x"', "python"),
        ("{.py #a}", "{.py"),
        ("mermaids", "mermaids"),
        ("a mermaid", "a"),
    ],
)
def test_the_tag_is_the_first_word_of_the_info(info: str, tag: str) -> None:
    assert parse(f"```{info}\n```") == code("", tag)


def test_the_info_of_a_tilde_fence_may_hold_backticks_and_tildes() -> None:
    assert parse("~~~ a`b ~~~\n~~~") == code("", "a`b")


@pytest.mark.parametrize("info", ["mermaid", " Mermaid", "MERMAID theme=dark"])
def test_mermaid_is_a_block_of_its_own(info: str) -> None:
    assert parse(f"```{info}\ngraph TD\n```") == code("graph TD", key="mermaid")


def test_content_loses_the_indentation_of_its_opener_and_no_more() -> None:
    assert parse("  ```\n   a\n  b\n c\nd\n\te\n\n  ```") == code(" a\nb\nc\nd\n\te\n")


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert parse("````md\n```py\na\n```\n````") == code("```py\na\n```", "md")


def test_a_tilde_fence_holds_one_of_backticks() -> None:
    assert parse("~~~\n```\na\n```\n~~~") == code("```\na\n```")


def test_fences_may_follow_one_another() -> None:
    assert parse("```\na\n```\n```\nb\n```\n") == [*code("a"), *code("b")]


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\n``", "a\n\n", "a\n ``` b", "\r"])
def test_an_unfinished_fence_holds_all_that_came(text: str) -> None:
    assert parse(f"```py\n{text}") == code(text, "py")


@pytest.mark.parametrize("text", [" ", "``", "```", "  ~~~py", "a\n```py"])
def test_an_opener_that_has_not_ended_is_markdown(text: str) -> None:
    assert parse(text) == markdown(text)


@given(st.lists(st.text("ab \n", min_size=1).map(lambda text: f"-{text}-")))
def test_plain_text_is_passed_through_at_once(deltas: list[str]) -> None:
    parser = BlockParser()
    for delta in deltas:
        assert parser.feed(delta) == markdown(delta)


@pytest.mark.parametrize("start", [" ", "   ", "`", "   ``", "```py x", "~~~a~`"])
def test_what_may_open_a_fence_is_held_back(start: str) -> None:
    assert BlockParser().feed(f"a\n{start}") == markdown("a\n")


@pytest.mark.parametrize(
    "parts", [("    ", ""), ("``", "a"), ("~", "`"), ("```a", "`"), ("````````", "a`"), ("", "\n")]
)
def test_what_can_open_no_fence_any_more_is_given(parts: tuple[str, str]) -> None:
    parser = BlockParser()
    assert [*merge([*parser.feed(parts[0]), *parser.feed(parts[1])])] == markdown("".join(parts))


def test_a_block_is_announced_as_soon_as_its_opener_ended() -> None:
    parser = BlockParser()
    assert (parser.feed("```py"), parser.feed("\n")) == ([], [Announced(key="code")])


def test_a_block_is_given_as_soon_as_its_closer_ended() -> None:
    parser = BlockParser()
    assert (parser.feed("```\na\n```"), parser.feed("\n")) == ([Announced(key="code")], code("a")[1:])


@pytest.mark.parametrize("character", ["a", "`", "~", " "])
def test_an_opener_of_any_length_is_judged_by_few_characters(character: str) -> None:
    parser = BlockParser()
    for delta in ["```", *character * 1_000]:
        parser.feed(delta)
    assert len(parser._start or "") == 7


def test_an_answer_is_stored_as_its_blocks() -> None:
    assert split_into_blocks('Hi\n```python title="x"\na\n```\n \n~~~mermaid\nb\n~~~\n') == [
        {"id": "0", "key": "markdown", "status": "complete", "content": "Hi\n"},
        {"id": "1", "key": "code", "status": "complete", "content": "a", "tag": "python"},
        {"id": "2", "key": "mermaid", "status": "complete", "content": "b"},
    ]


@pytest.mark.parametrize("answer", ["", " \n\t\n"])
def test_an_answer_of_nothing_has_no_blocks(answer: str) -> None:
    assert split_into_blocks(answer) == []
