"""Rows that go between the moment in which somebody finds them and that in which he writes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_init

from tests.integration.rest import message_of
from tests.integration.stored import thread_of
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.errors import ThreadNotFound
from waldur_chat.models import Message, Session, SystemPrompt, Thread, Turn
from waldur_chat.store import locks
from waldur_chat.store.conversations import deletion, messages, system_prompts, threads
from waldur_chat.testing import scripted

pytestmark = pytest.mark.usefixtures("stores")


@contextmanager
def erasing_once(user: Any) -> Iterator[None]:
    """Erase all that the user has as soon as a conversation is about to be written into his session."""
    left = [user]

    def erase(**_: Any) -> None:
        if left:
            deletion.erase(left.pop())

    post_init.connect(erase, sender=Thread)
    try:
        yield
    finally:
        post_init.disconnect(erase, sender=Thread)
    assert not left


def test_a_conversation_that_begins_while_all_are_erased_is_there(user: Any) -> None:
    gone = thread_of(user).session.uuid
    with erasing_once(user):
        thread = threads.create(user, name="New")
    assert (Thread.objects.get().uuid, thread.name) == (thread.uuid, "New")
    assert Session.objects.get().uuid != gone


def test_a_question_that_comes_while_all_is_erased_is_answered(user: Any) -> None:
    thread_of(user)
    with scripted("Hello"), erasing_once(user):
        assert chat.invoke("Hi", user=user).text == "Hello"
    assert Turn.objects.get().thread == Thread.objects.get()


def test_a_conversation_that_cannot_be_written_is_an_error(user: Any) -> None:
    missing: Any = None
    with pytest.raises(IntegrityError):
        threads.create(user, is_archived=missing)


def test_a_system_prompt_that_is_deleted_meanwhile_keeps_no_question_waiting(
    user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = system_prompts.activate(system_prompts.create(user, name="A", custom_instructions="Be short."))
    active = system_prompts.active

    def deleting() -> Any:
        version = active()
        system_prompts.delete(prompt)
        return version

    monkeypatch.setattr(system_prompts, "active", deleting)
    with scripted("Hello") as script:
        assert chat.invoke("Hi", user=user).text == "Hello"
    assert [said.role for said in script.prompts[0].messages] == ["user"]


def test_a_system_prompt_is_deleted_once(user: Any) -> None:
    prompt = system_prompts.create(user, name="A", custom_instructions="Be short.")
    for _ in range(2):
        system_prompts.delete(prompt)
    assert not SystemPrompt.objects.exists()


def test_a_message_that_is_deleted_meanwhile_is_neither_rated_nor_said_anew(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    question, answer = message_of(thread, 0), message_of(thread, 1)
    deletion.delete(thread)
    with pytest.raises(ThreadNotFound):
        messages.rate(answer, score=True, comment="", category="")
    with pytest.raises(ThreadNotFound):
        messages.write_user_message(question.thread_id, "Ho", question)


def test_a_conversation_that_begins_between_two_locks_is_locked_with_the_others(
    user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By themselves later ones may be locked in another order than by whoever ends several turns."""
    thread_of(user, "Hi")
    lock, begun = locks.lock, [thread_of, thread_of]

    def locking(wanted: Any) -> int:
        found = lock(wanted)
        if begun:
            begun.pop()(user, "Hello")
        return found

    monkeypatch.setattr(locks, "lock", locking)
    deletion.erase(user)
    assert begun == []
    assert not Thread.objects.exists()
    assert not Session.objects.exists()


def test_who_writes_and_who_erases_do_not_wait_for_each_other_in_a_circle(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")

    def erase() -> None:
        try:
            deletion.erase(user)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            for text in ("One", "Two"):  # PostgreSQL looks again at what a row that is written twice refers to.
                messages.write_user_message(thread.pk, text)
            erased = other.submit(erase)
            wait([erased], timeout=0.3)
        erased.result()
    assert not Message.objects.exists()
