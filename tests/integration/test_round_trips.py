"""How often a turn that is stored asks the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from waldur_chat import conf
from waldur_chat.events import Usage
from waldur_chat.messages import Question
from waldur_chat.store import sql
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.turns import start

pytestmark = pytest.mark.core

USED = Usage(input_tokens=3, output_tokens=4)


def turn(user: Any) -> tuple[int, int]:
    """How often it asks when it begins and when it ends."""
    with CaptureQueriesContext(connection) as beginning:
        begun = start.begin(Question(text="Hi"), conf.load(), user)
    with CaptureQueriesContext(connection) as end:
        assert finish.end(begun.turn, TurnOutcome(status="finished", text="Hello", model="m", usage=USED))
    return len(beginning), len(end)


@pytest.mark.django_db(transaction=True)
def test_a_question_that_opens_a_conversation_and_its_answer(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TITLES": False}
    user = get_user_model().objects.create_user("zoe")
    turn(user)  # Makes the user's rows.
    # The first is what is known of the user; each transaction has a beginning and an end.
    expected = (2, 6) if sql._takes_several(connection) else (6, 11)
    assert turn(user) == expected
