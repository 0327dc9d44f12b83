"""What services are reported to send means what it should, however it is cut."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.unit.aio import run
from tests.unit.meaning import meaning_of, meaning_of_response, meaning_to_a_turn
from tests.unit.reported import ANY, FOLDER, Case, Meaning, cases
from waldur_chat import errors

CASES = cases()
STREAMS = [case for case in CASES if case.status == 200]
REFUSALS = [case for case in CASES if case.status != 200]


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_means_what_it_should(case: Case) -> None:
    found = run(meaning_of([case.body], **case.options))
    assert case.agrees(found), (found, case.means)


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_means_the_same_to_a_turn(case: Case) -> None:
    found = run(meaning_to_a_turn([case.body], **case.options))
    assert case.agrees(found), (found, case.means)


@pytest.mark.slow
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_means_the_same_cut_at_every_byte(case: Case) -> None:
    async def differing() -> list[tuple[int, Meaning]]:
        data = case.body
        found = [(cut, await meaning_of([data[:cut], data[cut:]], **case.options)) for cut in range(1, len(data))]
        return [(cut, meaning) for cut, meaning in found if not case.agrees(meaning)]

    assert run(differing(), seconds=120)[:1] == []


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_means_the_same_in_single_bytes(case: Case) -> None:
    found = run(meaning_of([bytes([byte]) for byte in case.body], **case.options))
    assert case.agrees(found), (found, case.means)


@pytest.mark.parametrize("line_end", ["\r\n", "\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_means_the_same_with_other_line_ends(case: Case, line_end: str) -> None:
    found = run(meaning_of([case.body.replace(b"\n", line_end.encode())], **case.options))
    assert case.agrees(found), (found, case.means)


@pytest.mark.slow
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_that_breaks_off_at_any_byte_is_never_complete_without_text(case: Case) -> None:
    async def wrong() -> list[tuple[int, Meaning]]:
        found = [(size, await meaning_of([case.body[:size]], **case.options)) for size in range(len(case.body))]
        return [(size, meaning) for size, meaning in found if meaning.is_complete and not meaning.text]

    assert run(wrong(), seconds=120)[:1] == []


@pytest.mark.parametrize("case", REFUSALS, ids=str)
def test_a_refusal_means_what_it_should(case: Case) -> None:
    found = run(meaning_of_response(case))
    assert case.agrees(found), (found, case.means)


# The files themselves.


def test_there_are_at_least_twenty_five_services() -> None:
    assert len({case.service for case in STREAMS}) >= 25
    assert len({case.service for case in CASES}) == len(list(FOLDER.glob("*.txt")))


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_has_a_source(case: Case) -> None:
    assert case.sources
    for source in case.sources:
        address = urlsplit(source)
        assert address.scheme == "https"
        assert "." in address.netloc


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_says_what_it_means(case: Case) -> None:
    means = case.means
    assert means.error == ANY or bool(means.stop) != hasattr(errors, means.error)
    assert means.error or means.text
    assert case.body


def test_no_file_is_longer_than_three_hundred_lines() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in FOLDER.iterdir()}
    assert {name: count for name, count in lines.items() if count > 300} == {}
