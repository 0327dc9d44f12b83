"""Calls of tools are put together, however services send them and however the bytes are cut; or they are refused."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.unit.called import CalledCase, cases, said
from waldur_chat import errors

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_calls_are_put_together(case: CalledCase) -> None:
    assert case.said([case.body]) == case.means


@pytest.mark.parametrize("case", CASES, ids=str)
def test_calls_are_the_same_in_single_bytes(case: CalledCase) -> None:
    assert case.said([bytes([byte]) for byte in case.body]) == case.means


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_calls_are_the_same_cut_at_every_byte(case: CalledCase) -> None:
    found = [case.said([case.body[:cut], case.body[cut:]]) for cut in range(1, len(case.body))]
    assert [one for one in found if one != case.means] == []


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_stream_that_breaks_off_has_no_call_that_the_whole_has_not(case: CalledCase) -> None:
    for size in range(len(case.body)):
        found = case.said([case.body[:size]])
        assert found.error or found.calls == case.means.calls[: len(found.calls)]


@pytest.mark.parametrize("case", [case for case in CASES if not case.in_text], ids=str)
def test_without_tools_on_offer_there_are_no_calls(case: CalledCase) -> None:
    found = said([case.body], None)
    assert found.calls == []
    assert found.text == case.means.text


# The files themselves.


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_has_a_source_and_a_meaning(case: CalledCase) -> None:
    assert case.sources
    assert all(urlsplit(source).scheme == "https" for source in case.sources)
    assert case.means.calls or case.means.text or hasattr(errors, case.means.error)


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
