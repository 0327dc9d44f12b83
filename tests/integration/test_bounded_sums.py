"""Sums of tokens stay within what their columns hold: PostgreSQL refuses more."""

from __future__ import annotations

import pytest

from tests.integration.asked import begin, end
from tests.integration.rest import Person
from tests.unit.aio import PROMPT
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import MOST_TOKENS, Usage
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.turns import finish

pytestmark = [pytest.mark.core, pytest.mark.django_db]
MOST = Usage(input_tokens=MOST_TOKENS, output_tokens=MOST_TOKENS)


def test_reports_of_two_attempts_are_bounded() -> None:
    counter = UsageCounter(PROMPT)
    for _ in range(2):
        counter.start_attempt()
        counter.report(MOST)
    assert counter.total() == MOST


def test_an_estimate_beside_a_report_is_bounded() -> None:
    counter = UsageCounter(PROMPT)
    counter.start_attempt()
    counter.report(MOST)
    counter.add_output("more")
    total = counter.total()
    assert total
    assert (total.output_tokens, total.estimated) == (MOST_TOKENS, True)


@pytest.mark.parametrize(("reported", "stored"), [(-5, 0), (2**40, MOST_TOKENS)])
def test_what_a_provider_reports_is_bounded(alice: Person, reported: int, stored: int) -> None:
    assert end(begin(alice.user), usage=Usage(input_tokens=reported, output_tokens=3))
    assert (Turn.objects.get().input_tokens, Message.objects.get(role="assistant").input_tokens) == (stored, stored)


def test_sums_of_many_turns_have_room(alice: Person) -> None:
    for _ in range(2):
        end(begin(alice.user), usage=MOST)
    assert DayOfUsage.objects.get().input_tokens == 2 * MOST_TOKENS
    assert Budget.objects.get(user=alice.user).daily_tokens == 4 * MOST_TOKENS


def test_sums_of_titles_are_bounded(alice: Person) -> None:
    begun = begin(alice.user, promise=Reservation(title_input_tokens=10))
    Thread.objects.update(title_input_tokens=5, title_output_tokens=5)
    outcome = finish.TurnOutcome(status="finished", text="Cats", model="m", usage=MOST)
    finish.finish_turn(begun.title_turn, outcome)
    thread = Thread.objects.get()
    assert (thread.title_input_tokens, thread.title_output_tokens) == (MOST_TOKENS, MOST_TOKENS)
