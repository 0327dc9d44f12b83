"""Models that would call tools for ever: the turn ends as documented, with an answer, within its budget."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.integration.tools.answering import TOOLS, call
from tests.integration.turning import ask
from waldur_chat.conf import load
from waldur_chat.engine.rounds.repeats import LAST_AT
from waldur_chat.events import Delta, Failed, Finished, ProviderEvent, Usage
from waldur_chat.messages import Prompt
from waldur_chat.models import Budget, Message, ToolCall, Turn
from waldur_chat.providers.base import Provider
from waldur_chat.tools import tool

pytestmark = pytest.mark.django_db(transaction=True)

SPENT = Usage(input_tokens=100, output_tokens=20)


@tool(safe=True, trusted=True)
def numbered(number: int) -> str:
    """Looks something up."""
    return "seen"


class EndlessProvider(Provider):
    """Calls tools in every round, and answers only where it may not call any, if at all."""

    supports_tools = True
    writes_titles = False

    def __init__(self, *, at_once: int = 1, repeats: bool = False, is_stubborn: bool = False) -> None:
        self._at_once, self._repeats, self._is_stubborn = at_once, repeats, is_stubborn
        self._numbers = itertools.count(1)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        if prompt.tool_choice == "none" and not self._is_stubborn:
            yield Delta(text="Enough.")
        else:
            for _ in range(self._at_once):
                number = next(self._numbers)
                yield call(number, "numbered", f'{{"number": {1 if self._repeats else number}}}')
        yield SPENT


@pytest.fixture
def endless(settings: Any) -> Any:
    """Sets the site up with such a model."""

    def set_up(*, budget: int = -1, **options: Any) -> None:
        provider = {"BACKEND": f"{__name__}.EndlessProvider", "OPTIONS": options}
        tools = {"numbered": {"BACKEND": f"{__name__}.numbered"}}
        settings.WALDUR_CHAT = {
            "STORAGE": True, "ATTEMPTS": 1, "TOOLS": {**TOOLS, **tools}, "PROVIDERS": {"default": provider},
            "USER_TOKENS_DAILY": budget,
        }  # fmt: skip

    return set_up


def answer() -> str:
    return str(Message.objects.get(role="assistant").text)


def statuses() -> list[str]:
    return list(ToolCall.objects.values_list("status", flat=True))


def test_one_that_repeats_a_call_is_ended_by_the_repetition(user: Any, endless: Any) -> None:
    endless(repeats=True)
    assert isinstance(ask(user, "Hi")[-1], Finished)
    assert (answer(), statuses()) == ("Enough.", ["done"] * LAST_AT)


def test_one_that_calls_five_hundred_at_once_is_ended_by_the_number_of_calls(user: Any, endless: Any) -> None:
    endless(at_once=500)
    assert isinstance(ask(user, "Hi")[-1], Finished)
    assert (answer(), statuses()) == ("Enough.", ["done"] * load().tool_calls)


def test_one_that_never_stops_is_ended_by_the_number_of_rounds(user: Any, endless: Any) -> None:
    endless()
    assert isinstance(ask(user, "Hi")[-1], Finished)
    assert (answer(), statuses()) == ("Enough.", ["done"] * load().tool_rounds)
    turn = Turn.objects.get()
    rounds = load().tool_rounds + 1
    assert (turn.input_tokens, turn.output_tokens) == (100 * rounds, 20 * rounds)


@pytest.mark.parametrize("options", [{"repeats": True}, {"at_once": 500}, {}], ids=["repeats", "many", "endless"])
def test_one_that_calls_although_it_may_not_has_failed(user: Any, endless: Any, options: Any) -> None:
    endless(is_stubborn=True, **options)
    end = ask(user, "Hi")[-1]
    assert isinstance(end, Failed)
    assert end.error.code == "provider_empty"
    assert len(statuses()) <= load().tool_calls


@pytest.mark.parametrize("options", [{"repeats": True}, {"at_once": 500}, {}], ids=["repeats", "many", "endless"])
def test_the_budget_ends_it_too(user: Any, endless: Any, options: Any) -> None:
    endless(budget=3000, **options)
    assert isinstance(ask(user, "Hi")[-1], (Finished, Failed))
    account = Budget.objects.get(user=user)
    assert (account.daily_tokens <= 3000, account.reserved) == (True, 0)
