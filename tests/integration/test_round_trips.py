"""How often a turn that is stored asks the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from waldur_chat import chat, conf
from waldur_chat.events import Usage
from waldur_chat.messages import Question
from waldur_chat.store import sql
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.finish import TurnOutcome

pytestmark = pytest.mark.core

USED = Usage(input_tokens=3, output_tokens=4)


def turn(user: Any) -> tuple[int, int]:
    """How often it asks when it begins and when it ends."""
    with CaptureQueriesContext(connection) as beginning:
        begun = chat.open_turn(Question(text="Hi"), conf.load(), user=user)
    with CaptureQueriesContext(connection) as end:
        assert finish.finish_turn(begun.id, TurnOutcome(status="finished", text="Hello", model="m", usage=USED))
    return len(beginning), len(end)


BAR = 10
"""How often PostgreSQL may be asked for a turn, beside the one query that looks what the turn depends on."""


@pytest.mark.django_db(transaction=True)
def test_a_question_that_opens_a_conversation_and_its_answer(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TITLES": False}
    user = get_user_model().objects.create_user("zoe")
    turn(user)  # Makes the user's rows.
    beginning, end = turn(user)
    # Each transaction has a beginning and an end; thread, question, turn and answer are rows that Django writes.
    assert (beginning, end) == ((6, 5) if sql.can_batch(connection) else (6, 11))
    assert not sql.can_batch(connection) or beginning - 1 + end <= BAR
