"""Which database is read."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from waldur_chat.models import Message, Session, Thread
from waldur_chat.models.base import DefaultDatabaseManager


class Replicas:
    """A router that reads elsewhere."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"


@pytest.fixture(autouse=True)
def replicas(settings: Any) -> None:
    """The site has it."""
    settings.DATABASE_ROUTERS = [Replicas()]


def of_thread(message: Message) -> Any:
    """Where its thread is read."""
    return Message.thread.get_queryset(instance=message)  # type: ignore[attr-defined]


def of_messages(thread: Thread) -> Any:
    """Where its messages are read; Django's own manager on top asks for features of the replica, which is not here."""
    return DefaultDatabaseManager.get_queryset(thread.messages)  # type: ignore[arg-type]


def test_it_is_the_default_one_whatever_a_router_says() -> None:
    for found in (Thread.objects.all(), of_thread(Message()), of_messages(Thread(pk=1))):
        assert found.db == "default"


def test_rows_of_a_user_are_not_read_in_the_replica_that_he_was_read_in() -> None:
    user = get_user_model().from_db("replica", ["id"], [1])
    assert Session._base_manager.db_manager(hints={"instance": user}).all().db == "default"


def test_it_is_another_one_where_that_is_named() -> None:
    for found in (Thread.objects.using("copy"), Thread.objects.db_manager("copy").all()):
        assert found.db == "copy"


def test_what_belongs_to_a_row_is_read_where_that_was_read() -> None:
    thread, message = Thread.from_db("copy", ["id"], [1]), Message.from_db("copy", ["id"], [1])
    for found in (of_thread(message), of_messages(thread)):
        assert found.db == "copy"
