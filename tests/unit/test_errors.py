"""The tree of errors: whole, and as its docstring draws it."""

from __future__ import annotations

import re

import pytest

from waldur_chat import errors
from waldur_chat.errors import (
    BudgetConflict,
    BudgetExhausted,
    ChatError,
    InvalidQuestion,
    ProviderBusy,
    ProviderError,
    ThreadBusy,
)

BRANCH = re.compile(r"^    ([│ ]*)[├└]── (\w+) +(\d{3})  \w", re.MULTILINE)


def subclasses(base: type[ChatError]) -> list[type[ChatError]]:
    ours = [one for one in base.__subclasses__() if one.__module__.startswith(errors.__name__)]
    return [one for direct in ours for one in (direct, *subclasses(direct))]


TREE: list[type[ChatError]] = [ChatError, *subclasses(ChatError)]


def drawn() -> list[tuple[str, str, int]]:
    """The name, the parent and the status of each error in the drawing."""
    path, found = ["ChatError"], []
    for indent, name, status in BRANCH.findall(str(errors.__doc__)):
        depth = len(indent) // 4 + 1
        path[depth:] = [name]
        found.append((name, path[depth - 1], int(status)))
    return found


def test_the_drawing_is_the_tree() -> None:
    classes = [(one.__name__, one.__bases__[0].__name__, one.status) for one in subclasses(ChatError)]
    assert sorted(drawn()) == sorted(classes)


@pytest.mark.parametrize("error", TREE)
def test_every_error_has_code_status_and_sentence(error: type[ChatError]) -> None:
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert 400 <= error.status < 600
    assert re.fullmatch(r"[TY].+\.", error.sentence)


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in TREE if not subclasses(error)]
    assert len(codes) == len(set(codes))


def test_the_base_of_providers_errors_has_a_code_of_its_children() -> None:
    assert ProviderError.code in {error.code for error in ProviderError.__subclasses__()}


def test_an_error_without_a_message_says_its_sentence() -> None:
    assert str(ProviderBusy()) == ProviderBusy.sentence


def test_a_message_stays_apart_from_the_sentence() -> None:
    error = ProviderBusy("status 429", retry_after=7)
    assert (str(error), error.retry_after) == ("status 429", 7)
    assert error.sentence == ProviderBusy.sentence


def test_what_is_wrong_with_a_question_is_told_with_its_field() -> None:
    error = InvalidQuestion("mode", "There is nothing to ask again.")
    assert (error.field, str(error)) == ("mode", "There is nothing to ask again.")


def test_a_conversation_that_is_busy_names_its_turn() -> None:
    error = ThreadBusy("ab")
    assert (error.turn, error.retry_after) == ("ab", None)


@pytest.mark.parametrize(("error", "status"), [(BudgetExhausted, 429), (BudgetConflict, 409)])
def test_a_budget_that_is_used_up_says_whose_and_until_when(error: type[BudgetExhausted], status: int) -> None:
    raised = error(scope="user", period="daily", limit=9, needed=8, left=1, retry_after=7)
    assert (raised.status, raised.scope, raised.period, raised.limit) == (status, "user", "daily", 9)
    assert raised.retry_after == 7


def test_a_budget_that_is_used_up_says_what_is_needed_and_what_helps() -> None:
    raised = BudgetExhausted(scope="user", period="daily", limit=9, needed=8, left=1, retry_after=7)
    assert raised.told(str) == (
        "This question needs about 8 tokens, and 1 are left. "
        "Ask a shorter question, begin a new conversation, or try again later."
    )
