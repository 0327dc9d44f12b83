"""Messages over the API: what they look like, and what users say about them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from django.utils.dateparse import parse_datetime

from tests.integration.rest import Person, message_of, path_of, running_in
from tests.integration.stored import thread_of
from waldur_chat.models import Message, Reading, Thread

LIST = "chat-messages/"
CODE = "Look:\n```python\nprint(1)\n```\n"
BAD = {
    "is_flagged": True,
    "severity": "high",
    "injection_categories": {"override": 1},
    "pii_categories": {"mail": 2},
    "action_taken": "warn",
}
NEUTRAL = {
    "is_flagged": False,
    "severity": "none",
    "injection_categories": {},
    "pii_categories": {},
    "action_taken": "allow",
}


def texts(response: Any) -> list[str]:
    """What the messages of a list say."""
    assert response.status_code == 200, response.content
    return [message["content"] for message in response.json()]


def said_anew(message: Message, text: str) -> Message:
    """A newer version of a message."""
    Message.objects.filter(pk=message.pk).update(is_current=False)
    new: Message = Message.objects.create(
        thread=message.thread, role=message.role, text=text, sequence_index=message.sequence_index, replaces=message
    )
    return new


@pytest.fixture
def thread(alice: Person) -> Thread:
    """A conversation of Alice's."""
    return thread_of(alice.user, "Hello", "Hi", "Code?", CODE, message_count=4)


def test_a_message_has_the_fields_of_the_contract(alice: Person, thread: Thread) -> None:
    answer = message_of(thread, 1, input_tokens=3, output_tokens=1, warning="Careful.", model="gemma")
    shown = alice.get(path_of(answer)).json()
    assert parse_datetime(shown.pop("created")) == answer.created
    assert shown == {
        "uuid": answer.uuid.hex,
        "thread": thread.uuid.hex,
        "role": "assistant",
        "status": "complete",
        "code": "",
        "model": "gemma",
        "ai_generated": True,
        "blocks": [{"id": "0", "key": "markdown", "status": "complete", "content": "Hi"}],
        "warning": "Careful.",
        "content": "Hi",
        "content_display": "Hi",
        "tool_calls": [],
        "sequence_index": 1,
        "replaces": None,
        "input_tokens": 3,
        "output_tokens": 1,
        "feedback_score": None,
        "feedback_comment": None,
        "feedback_category": None,
        "feedback_submitted_at": None,
        **NEUTRAL,
    }


def test_answers_are_cut_into_blocks_and_questions_are_not(alice: Person, thread: Thread) -> None:
    message_of(thread, 2, text=CODE)
    asked, answered = alice.get(LIST, thread=thread.uuid).json()[2:]
    assert [block["key"] for block in asked["blocks"]] == ["markdown"]
    assert asked["blocks"][0]["content"] == CODE
    assert [(block["key"], block.get("tag")) for block in answered["blocks"]] == [
        ("markdown", None),
        ("code", "python"),
    ]


@pytest.mark.parametrize("status", ["stopped", "failed", "interrupted", "length", "filtered"])
def test_the_last_block_of_an_answer_that_is_not_complete_is_incomplete(
    alice: Person, thread: Thread, status: str
) -> None:
    answer = message_of(thread, 3, status=status, code="x")
    shown = alice.get(path_of(answer)).json()
    assert [block["status"] for block in shown["blocks"]] == ["complete", "incomplete"]
    assert (shown["status"], shown["code"]) == (status, "x")


def test_an_incomplete_answer_without_a_word_has_no_block(alice: Person, thread: Thread) -> None:
    assert alice.get(path_of(message_of(thread, 3, status="stopped", text="\n"))).json()["blocks"] == []


def test_a_question_without_an_answer_is_a_complete_block(alice: Person, thread: Thread) -> None:
    message_of(thread, 2, status="failed", code="provider_failed")
    shown = alice.get(LIST, thread=thread.uuid).json()[2]
    assert [shown[name] for name in ("status", "code", "model", "ai_generated")] == [
        "failed",
        "provider_failed",
        "",
        False,
    ]
    assert [block["status"] for block in shown["blocks"]] == ["complete"]


def test_every_version_says_how_it_ended(alice: Person, thread: Thread) -> None:
    first = message_of(thread, 1, status="stopped", code="cancelled")
    said_anew(first, "Again")
    history = alice.get(path_of(first, "history")).json()
    assert [version["status"] for version in history] == ["stopped", "complete"]


def test_a_conversation_is_listed_as_it_was_said(alice: Person, thread: Thread) -> None:
    thread_of(alice.user, "Other")
    listed = alice.get(LIST, thread=thread.uuid, page=7, page_size=1)
    assert texts(listed) == ["Hello", "Hi", "Code?", CODE]
    assert listed.headers["X-Result-Count"] == "4"
    assert "Link" not in listed.headers


def test_versions_that_were_replaced_are_listed_on_demand(alice: Person, thread: Thread) -> None:
    new = said_anew(message_of(thread, 1), "Hi there")
    assert texts(alice.get(LIST, thread=thread.uuid.hex))[:2] == ["Hello", "Hi there"]
    history = alice.get(LIST, thread=thread.uuid.hex, include_history="true")
    assert texts(history)[:3] == ["Hello", "Hi", "Hi there"]
    assert new.replaces
    assert history.json()[2]["replaces"] == new.replaces.uuid.hex


def test_the_versions_of_a_message_are_listed_oldest_first(alice: Person, thread: Thread) -> None:
    first = message_of(thread, 1)
    last = said_anew(said_anew(first, "2"), "3")
    assert texts(alice.get(path_of(first, "history"))) == texts(alice.get(path_of(last, "history"))) == ["Hi", "2", "3"]


def test_without_a_conversation_the_newest_are_listed(
    alice: Person, bob: Person, staff: Person, thread: Thread, monkeypatch: Any
) -> None:
    thread_of(bob.user, "From Bob")
    assert len(texts(alice.get(LIST))) == 4
    monkeypatch.setattr("waldur_chat.store.conversations.messages.NEWEST", 3)
    assert texts(staff.get(LIST)) == ["Code?", CODE, "From Bob"]


def test_a_head_gives_the_number(alice: Person, thread: Thread) -> None:
    head = alice.head(LIST, thread=thread.uuid)
    assert (head.headers["X-Result-Count"], head.content) == ("4", b"")


@pytest.mark.parametrize("uuid", [uuid4().hex, str(uuid4())], ids=["hex", "with dashes"])
def test_an_unknown_conversation_is_an_empty_list(alice: Person, uuid: str) -> None:
    assert alice.get(LIST, thread=uuid).json() == []


def test_a_conversation_of_others_is_an_empty_list(bob: Person, thread: Thread) -> None:
    assert bob.get(LIST, thread=thread.uuid).json() == []


@pytest.mark.parametrize(
    ("name", "value"), [("thread", "x"), ("include_history", "x"), ("is_flagged", "x"), ("feedback_score", "x")]
)
def test_what_cannot_be_is_refused_under_its_name(alice: Person, name: str, value: str) -> None:
    refused = alice.get(LIST, **{name: value})
    assert (refused.status_code, list(refused.json())) == (400, [name, "code"])


@pytest.mark.parametrize("act", ["", "history"])
def test_messages_of_others_do_not_exist(bob: Person, thread: Thread, act: str) -> None:
    assert bob.get(path_of(message_of(thread, 1), act)).status_code == 404
    assert bob.get(path_of(Message(), act)).status_code == 404


def test_strangers_see_nothing(thread: Thread) -> None:
    assert {Client().get(f"/api/{path}").status_code for path in (LIST, path_of(message_of(thread, 1)))} == {401}


class TestGuards:
    """What guards found is for staff and support."""

    @pytest.fixture(autouse=True)
    def flagged(self, thread: Thread) -> None:
        message_of(thread, 1, **BAD)

    def test_staff_and_support_see_it(self, staff: Person, support: Person, thread: Thread) -> None:
        for person in (staff, support):
            shown = person.get(path_of(message_of(thread, 1))).json()
            assert {name: shown[name] for name in BAD} == BAD

    def test_the_owner_sees_nothing_of_it(self, alice: Person, thread: Thread) -> None:
        shown = alice.get(path_of(message_of(thread, 1))).json()
        assert {name: shown[name] for name in NEUTRAL} == NEUTRAL

    def test_staff_can_look_for_it(self, staff: Person) -> None:
        assert texts(staff.get(LIST, is_flagged="true")) == ["Hi"]
        assert len(texts(staff.get(LIST, is_flagged="false"))) == 3

    def test_the_owner_cannot_look_for_it(self, alice: Person) -> None:
        assert texts(alice.get(LIST, is_flagged="true")) == []
        assert len(texts(alice.get(LIST, is_flagged="false"))) == 4


class TestReadings:
    """Who reads conversations of others leaves a record of each."""

    def test_reading_a_conversation_is_recorded_once(self, alice: Person, staff: Person, thread: Thread) -> None:
        staff.get(LIST, thread=thread.uuid)
        found = [(one.reader, one.owner, one.thread, one.place) for one in Reading.objects.all()]
        assert found == [(staff.user, alice.user, thread.uuid, "api")]

    def test_reading_one_message_is_recorded(self, staff: Person, thread: Thread) -> None:
        staff.get(path_of(message_of(thread, 1)))
        staff.get(path_of(message_of(thread, 1), "history"))
        assert Reading.objects.filter(thread=thread.uuid).count() == 2

    def test_reading_the_newest_is_recorded_for_each(self, bob: Person, staff: Person, thread: Thread) -> None:
        thread_of(bob.user, "Hello")
        thread_of(staff.user, "Hello")
        staff.get(LIST)
        assert Reading.objects.count() == 2

    def test_reading_what_is_ones_own_is_not_recorded(self, alice: Person, thread: Thread) -> None:
        alice.get(LIST, thread=thread.uuid)
        assert not Reading.objects.exists()


class TestFeedback:
    """Whether an answer was good."""

    def test_an_answer_is_rated(self, alice: Person, thread: Thread) -> None:
        answer = message_of(thread, 1)
        rated = alice.post(
            path_of(answer, "feedback"), {"score": False, "comment": " No. ", "category": "inaccurate"}
        ).json()
        answer.refresh_from_db()
        assert [rated[f"feedback_{name}"] for name in ("score", "comment", "category")] == [False, "No.", "inaccurate"]
        assert parse_datetime(rated["feedback_submitted_at"]) == answer.feedback_submitted_at

    def test_a_new_rating_replaces_the_old_whole(self, alice: Person, thread: Thread) -> None:
        path = path_of(message_of(thread, 1), "feedback")
        alice.post(path, {"score": False, "comment": "No.", "category": "other"})
        rated = alice.post(path, {"score": True}).json()
        assert [rated[f"feedback_{name}"] for name in ("score", "comment", "category")] == [True, None, None]

    def test_the_conversation_counts_ratings(self, alice: Person, thread: Thread) -> None:
        counts = []
        for index, score in ((1, True), (1, True), (3, True), (1, False)):
            alice.post(path_of(message_of(thread, index), "feedback"), {"score": score})
            thread.refresh_from_db()
            counts.append((thread.positive_feedback, thread.negative_feedback))
        assert counts == [(1, 0), (1, 0), (2, 0), (1, 1)]
        assert alice.get(path_of(thread)).json()["has_feedback"] is True

    def test_rated_messages_can_be_looked_for(self, alice: Person, thread: Thread) -> None:
        alice.post(path_of(message_of(thread, 1), "feedback"), {"score": False})
        assert texts(alice.get(LIST, feedback_score="false")) == ["Hi"]
        assert texts(alice.get(LIST, feedback_score="true")) == []

    def test_a_version_that_was_replaced_can_be_rated(self, alice: Person, thread: Thread) -> None:
        old = message_of(thread, 1)
        said_anew(old, "Better")
        assert alice.post(path_of(old, "feedback"), {"score": False}).status_code == 200

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            ({}, "score"),
            ({"score": None}, "score"),
            ({"score": "true"}, "score"),
            ({"score": True, "category": "other"}, "category"),
            ({"score": False, "category": "awful"}, "category"),
            ({"score": False, "category": ""}, "category"),
            ({"score": False, "comment": "x" * 2001}, "comment"),
            ({"score": False, "comment": 5}, "comment"),
            (["score"], "non_field_errors"),
        ],
    )
    def test_what_cannot_be_is_refused(self, alice: Person, thread: Thread, data: object, name: str) -> None:
        refused = alice.post(path_of(message_of(thread, 1), "feedback"), data)
        assert (refused.status_code, list(refused.json())) == (400, [name, "code"])

    def test_null_is_nothing(self, alice: Person, thread: Thread) -> None:
        data = {"score": True, "comment": None, "category": None}
        assert alice.post(path_of(message_of(thread, 1), "feedback"), data).status_code == 200

    def test_questions_are_not_rated(self, alice: Person, thread: Thread) -> None:
        refused = alice.post(path_of(message_of(thread, 0), "feedback"), {"score": True})
        assert (refused.status_code, list(refused.json())) == (400, ["score", "code"])

    def test_nobody_else_rates(self, bob: Person, staff: Person, support: Person, thread: Thread) -> None:
        path = path_of(message_of(thread, 1), "feedback")
        assert {person.post(path, {"score": True}).status_code for person in (bob, staff, support)} == {404}
        assert message_of(thread, 1).feedback_score is None


class TestWriting:
    """Clients of release 8.0.2 write and edit the user's messages themselves."""

    def data(self, into: Thread, **changes: Any) -> dict[str, Any]:
        return {"thread": str(into.uuid), "role": "user", "content": "And?", **changes}

    def test_a_message_is_written_at_the_end(self, alice: Person, thread: Thread) -> None:
        written = alice.post(LIST, self.data(thread, content=" And? "))
        assert written.status_code == 201
        assert [written.json()[name] for name in ("content", "sequence_index", "replaces")] == ["And?", 4, None]
        before = thread.modified
        thread.refresh_from_db()
        assert thread.message_count == 5
        assert thread.modified > before

    def test_the_first_message_has_index_zero(self, alice: Person) -> None:
        assert alice.post(LIST, self.data(thread_of(alice.user))).json()["sequence_index"] == 0

    def test_the_last_message_of_the_user_can_be_replaced(self, alice: Person, thread: Thread) -> None:
        old = message_of(thread, 2)
        written = alice.post(LIST, self.data(thread, replaces=str(old.uuid))).json()
        assert [written[name] for name in ("sequence_index", "replaces")] == [2, old.uuid.hex]
        assert texts(alice.get(LIST, thread=thread.uuid)) == ["Hello", "Hi", "And?", CODE]
        thread.refresh_from_db()
        assert thread.message_count == 4

    def test_editing_does_the_same(self, alice: Person, thread: Thread) -> None:
        old = message_of(thread, 2)
        edited = alice.post(path_of(old, "edit"), {"content": "And?"})
        assert edited.status_code == 200
        assert [edited.json()[name] for name in ("content", "replaces")] == ["And?", old.uuid.hex]

    @pytest.mark.parametrize("index", [0, 1, 3])
    def test_no_other_message_can_be_edited(self, alice: Person, thread: Thread, index: int) -> None:
        message = message_of(thread, index)
        assert alice.post(path_of(message, "edit"), {"content": "x"}).status_code == 400
        refused = alice.post(LIST, self.data(thread, replaces=message.uuid.hex))
        assert (refused.status_code, list(refused.json())) == (400, ["replaces", "code"])

    def test_a_version_that_was_replaced_cannot_be_edited(self, alice: Person, thread: Thread) -> None:
        old = message_of(thread, 2)
        said_anew(old, "New")
        assert alice.post(path_of(old, "edit"), {"content": "x"}).status_code == 400

    def test_a_message_of_another_conversation_is_not_replaced(self, alice: Person, thread: Thread) -> None:
        other = message_of(thread_of(alice.user, "Hello"), 0)
        for uuid in (other.uuid, uuid4()):
            assert list(alice.post(LIST, self.data(thread, replaces=uuid.hex)).json()) == ["replaces", "code"]

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"role": "assistant"}, "role"),
            ({"role": "system"}, "role"),
            ({"content": " "}, "content"),
            ({"content": 5}, "content"),
            ({"content": "x" * 50001}, "content"),
            ({"thread": "x"}, "thread"),
            ({"thread": 5}, "thread"),
            ({"thread": None}, "thread"),
            ({"replaces": "x"}, "replaces"),
        ],
    )
    def test_what_cannot_be_is_refused(self, alice: Person, thread: Thread, changes: Any, name: str) -> None:
        refused = alice.post(LIST, self.data(thread, **changes))
        assert (refused.status_code, list(refused.json())) == (400, [name, "code"])

    def test_nobody_writes_into_conversations_of_others(self, bob: Person, staff: Person, thread: Thread) -> None:
        for person in (bob, staff):
            unknown, known = (person.post(LIST, self.data(one)) for one in (Thread(), thread))
            assert (unknown.status_code, unknown.content) == (404, known.content)
            assert person.post(path_of(message_of(thread, 2), "edit"), {"content": "x"}).status_code == 404
        assert thread.messages.count() == 4

    def test_nobody_writes_while_an_answer_is_written(self, alice: Person, thread: Thread) -> None:
        turn = running_in(thread)
        for path, data in ((LIST, self.data(thread)), (path_of(message_of(thread, 2), "edit"), {"content": "x"})):
            refused = alice.post(path, data)
            assert (refused.status_code, refused.json()["code"]) == (409, "thread_busy")
            assert refused.json()["turn_uuid"] == turn.uuid.hex
        assert thread.messages.count() == 4

    def test_a_site_that_stores_nothing_takes_no_messages(self, alice: Person, thread: Thread) -> None:
        edit = path_of(message_of(thread, 2), "edit")
        with override_settings(WALDUR_CHAT={"STORAGE": False}):
            assert alice.post(LIST, self.data(thread)).status_code == 400
            assert alice.post(edit, {"content": "x"}).status_code == 400
            assert alice.post(path_of(message_of(thread, 1), "feedback"), {"score": True}).status_code == 200

    def test_the_limit_on_the_length_is_that_of_an_input(self, alice: Person, thread: Thread) -> None:
        with override_settings(WALDUR_CHAT={"INPUT_MAX_LENGTH": 3}):
            assert "content" in alice.post(LIST, self.data(thread)).json()
            assert "content" in alice.post(path_of(message_of(thread, 2), "edit"), {"content": "And?"}).json()

    def test_a_conversation_that_goes_meanwhile_is_not_found(
        self, alice: Person, thread: Thread, monkeypatch: Any
    ) -> None:
        from waldur_chat.store.conversations import deletion, messages

        def deleted_first(*args: Any) -> Any:
            deletion.delete(thread)
            return write(*args)

        write = messages.write_user_message
        monkeypatch.setattr(messages, "write_user_message", deleted_first)
        refused = alice.post(LIST, self.data(thread))
        assert (refused.status_code, refused.json()["code"]) == (404, "thread_not_found")


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(
    alice: Person, staff: Person, count: int, django_assert_num_queries: Any
) -> None:
    threads = [thread_of(alice.user, *["Hello", "Hi"] * count) for _ in range(count)]
    answer = message_of(threads[0], 1)
    said_anew(message_of(threads[0], 0), "Hello again")
    for person, more in ((alice, 0), (staff, 1)):
        for path, query, queries in (
            (LIST, {"thread": threads[0].uuid}, 2),
            (LIST, {"thread": threads[0].uuid, "include_history": True}, 2),
            (LIST, {}, 3),
            (path_of(answer), {}, 2),
            (path_of(answer, "history"), {}, 3),
        ):
            with django_assert_num_queries(queries + more):
                assert person.get(path, **query).status_code == 200
