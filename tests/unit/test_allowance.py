"""A turn writes as far as its reservation goes, and waits for more."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from tests.unit.aio import PROMPT, run_ahead
from waldur_chat.engine.rounds.answer_rounds import _parts
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import MOST_TOKENS, Delta, Usage
from waldur_chat.turns.allowance import OutputAllowance


class Asked:
    """Answers requests for larger reservations with what it was made with, one after the other."""

    def __init__(self, *grants: tuple[int, bool], **options: Any) -> None:
        self.grants = list(grants)
        self.requests = 0
        self.counter = UsageCounter(PROMPT)
        self.counter.start_attempt()
        values = {"reserved": 20, "input_tokens": 10, "bytes_per_token": 4, "most": None, **options}
        self.allowance = OutputAllowance(self.counter, self.answer, **values)

    def answer(self) -> None:
        self.requests += 1
        if self.grants:
            tokens, is_last = self.grants.pop(0)
            self.allowance.grant(tokens, is_last=is_last)

    def write(self, tokens: int) -> bool:
        """Write so many tokens. Returns whether it must wait then."""
        self.counter.add_output("x" * 4 * tokens)
        return self.allowance.is_used_up()


def test_what_is_reserved_may_be_written() -> None:
    async def main() -> None:
        assert not Asked().write(9)
        assert Asked().write(10)

    run_ahead(main())


def test_it_continues_with_a_larger_reservation() -> None:
    async def main() -> None:
        asked = Asked((40, False))
        asked.write(15)
        assert await asked.allowance.grown()
        assert (asked.requests, asked.allowance.reserved, asked.write(1)) == (1, 40, False)

    run_ahead(main())


def test_it_ends_where_nothing_is_left() -> None:
    async def main() -> None:
        asked = Asked((20, True))
        asked.write(15)
        assert not await asked.allowance.grown()

    run_ahead(main())


def test_it_waits_for_what_others_hold() -> None:
    async def main() -> None:
        asked = Asked((20, False))
        asked.write(15)
        asyncio.get_running_loop().call_later(1, asked.allowance.grant, 30)
        assert await asked.allowance.grown()

    run_ahead(main())


def test_it_does_not_wait_long_for_what_others_hold() -> None:
    async def main() -> None:
        asked = Asked((20, False))
        asked.write(15)
        assert not await asked.allowance.grown()

    run_ahead(main())


def test_a_database_that_does_not_answer_ends_no_answer() -> None:
    async def main() -> None:
        asked = Asked()
        asked.write(15)
        assert await asked.allowance.grown()
        assert not asked.write(5)

    run_ahead(main())


def test_a_grant_after_the_loop_has_ended_is_lost() -> None:
    async def main() -> Asked:
        asked = Asked()
        asked.write(15)
        asyncio.get_running_loop().create_task(asked.allowance.grown())
        await asyncio.sleep(0)
        return asked

    asked = asyncio.run(main())
    asked.allowance.grant(100)
    assert asked.allowance.reserved == 100


def test_a_provider_that_stops_by_itself_needs_no_more_than_its_limit() -> None:
    async def main() -> None:
        asked = Asked(most=20)
        assert not asked.write(14)
        assert asked.allowance.wanted(lambda tokens: 100) is None

    run_ahead(main())


def test_a_provider_that_ignores_its_limit_is_ended() -> None:
    async def main() -> None:
        asked = Asked(most=20)
        assert asked.write(20)
        assert not await asked.allowance.grown()

    run_ahead(main())


@pytest.mark.parametrize(
    ("written", "reserved", "wanted"), [(0, 20, None), (5, 20, None), (6, 20, 26), (10, 40, None), (0, 31, 20)]
)
def test_half_of_the_margin_is_left_before_it_grows(written: int, reserved: int, wanted: int | None) -> None:
    async def main() -> None:
        asked = Asked(reserved=reserved)
        asked.write(written)
        assert asked.allowance.wanted(lambda tokens: 10) == wanted

    run_ahead(main())


def test_no_more_is_wanted_than_can_be_stored() -> None:
    async def main() -> None:
        asked = Asked()
        asked.counter.report(Usage(input_tokens=MOST_TOKENS, output_tokens=MOST_TOKENS))
        assert asked.allowance.wanted(lambda tokens: 10) == MOST_TOKENS

    run_ahead(main())


def test_what_is_reported_takes_the_place_of_what_was_guessed() -> None:
    async def main() -> None:
        asked = Asked()
        asked.write(8)
        asked.counter.report(Usage(input_tokens=3, output_tokens=4))
        asked.write(1)
        assert asked.allowance.used == 3 + 4 + 1
        asked.counter.start_attempt()
        assert asked.allowance.used == 3 + 4 + 10

    run_ahead(main())


@pytest.mark.parametrize(("most", "expected"), [(None, 470), (100, 60)])
def test_a_later_round_may_use_what_is_left_of_the_whole_turn(most: int | None, expected: int) -> None:
    async def main() -> None:
        asked = Asked(room=500, most=most, output_limit=60 if most else 500, input_estimate=lambda prompt: 15)
        asked.counter.report(Usage(input_tokens=10, output_tokens=5))
        asked.counter.end_round()
        assert asked.allowance.begin_round(PROMPT) == expected
        assert asked.allowance.used == 30
        assert asked.allowance.is_used_up()

    run_ahead(main())


def test_a_round_whose_prompt_has_no_room_may_have_no_answer() -> None:
    async def main() -> None:
        asked = Asked(room=500, most=100, input_estimate=lambda prompt: 600)
        assert asked.allowance.begin_round(PROMPT) < 1

    run_ahead(main())


@pytest.mark.parametrize(("options", "left"), [({}, 16), ({"most": 40}, 16), ({"most": 20}, math.inf)])
def test_it_says_how_much_may_be_written(options: dict[str, Any], left: float) -> None:
    async def main() -> None:
        asked = Asked(**options)
        asked.write(6)
        assert asked.allowance.left_bytes() == left

    run_ahead(main())


def test_what_has_arrived_at_once_is_written_as_far_as_the_reservation_goes() -> None:
    async def main() -> None:
        parts = []
        asked = Asked()
        for part in _parts(Delta(text="xyz" * 20), asked.allowance):
            assert isinstance(part, Delta)
            parts.append(part.text)
            asked.counter.add_output(part.text)
            if asked.allowance.is_used_up():
                asked.allowance.grant(40)
        assert (len(parts[0]), "".join(parts)) == (40, "xyz" * 20)

    run_ahead(main())
