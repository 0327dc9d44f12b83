"""Conversations over the API: what they look like, and who does what with them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tests.integration.rest import Person, names, path_of, running_in
from tests.integration.stored import days_ago, thread_of, turn_in
from waldur_chat.models import Message, Reading, Session, Thread, Turn
from waldur_chat.testing import scripted

LIST = "chat-threads/"
NEW = {
    "name": "New chat",
    "flags": {},
    "is_archived": False,
    "message_count": 0,
    "input_tokens": None,
    "output_tokens": None,
    "total_tokens": None,
    "title_gen_input_tokens": None,
    "title_gen_output_tokens": None,
    "models_used": "",
    "is_flagged": False,
    "max_severity": "none",
    "has_feedback": False,
    "running_turn": None,
    "user_username": "alice",
    "user_full_name": "Alice Liddell",
}


def test_a_new_conversation_has_the_fields_of_the_contract(alice: Person) -> None:
    made = alice.post(LIST)
    thread = Thread.objects.get()
    assert made.status_code == 201
    assert {key: made.json().pop(key) for key in NEW} == NEW
    rest = {key: value for key, value in made.json().items() if key not in NEW}
    assert set(rest) == {"uuid", "chat_session", "created", "modified"}
    assert (rest["uuid"], rest["chat_session"]) == (thread.uuid.hex, thread.session.uuid.hex)
    assert parse_datetime(rest["created"]) == thread.created


def test_a_conversation_may_be_given_a_name(alice: Person) -> None:
    assert alice.post(LIST, {"name": " Cats "}).json()["name"] == "Cats"
    assert Thread.objects.get().is_named


def test_conversations_of_one_user_are_in_one_session(alice: Person) -> None:
    sessions = {alice.post(LIST).json()["chat_session"] for _ in range(2)}
    assert sessions == {Session.objects.get(user=alice.user).uuid.hex}


@pytest.mark.parametrize("name", ["", " ", "x" * 151, 5, None, ["x"], "a\x00b"])
def test_a_name_that_cannot_be_is_refused(alice: Person, name: object) -> None:
    refused = alice.post(LIST, {"name": name})
    assert (refused.status_code, list(refused.json())) == (400, ["name", "code"])


def test_a_site_that_stores_nothing_begins_no_conversation(alice: Person) -> None:
    with override_settings(WALDUR_CHAT={"STORAGE": False}):
        assert alice.post(LIST).status_code == 400
    assert not Thread.objects.exists()


def test_tokens_are_shown_once_something_was_recorded(alice: Person) -> None:
    thread = thread_of(alice.user, input_tokens=0, output_tokens=7, total_tokens=7, title_input_tokens=3)
    shown = alice.get(path_of(thread)).json()
    keys = ("input_tokens", "output_tokens", "total_tokens", "title_gen_input_tokens", "title_gen_output_tokens")
    assert [shown[key] for key in keys] == [0, 7, 7, 3, None]


@pytest.mark.parametrize("form", [str, lambda uuid: uuid.hex, lambda uuid: uuid.hex.upper()])
def test_a_conversation_is_found_under_every_form_of_its_uuid(alice: Person, form: Any) -> None:
    thread = thread_of(alice.user)
    assert alice.get(f"{LIST}{form(thread.uuid)}/").json()["uuid"] == thread.uuid.hex


@pytest.mark.parametrize(
    "uuid", ["x", "1", "0.5", "{}".format("g" * 32), "0" * 31, "{" + "0" * 32 + "}", "0x" + "0" * 30]
)
@pytest.mark.parametrize("act", ["", "cancel/"])
def test_what_is_no_uuid_is_not_found(alice: Person, uuid: str, act: str) -> None:
    refused = alice.post(f"{LIST}{uuid}/{act}") if act else alice.get(f"{LIST}{uuid}/")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


def test_times_are_iso_whatever_the_host_has(alice: Person, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DATETIME_FORMAT": None, "DATE_INPUT_FORMATS": ["%d.%m.%Y"]}
    thread = thread_of(alice.user)
    assert parse_datetime(alice.get(path_of(thread)).json()["created"]) == thread.created
    assert alice.get(LIST, created_after="2020-01-01").status_code == 200


def test_users_see_their_own_conversations_only(alice: Person, bob: Person) -> None:
    thread_of(alice.user, name="Cats")
    thread_of(bob.user, name="Dogs")
    assert names(alice.get(LIST)) == ["Cats"]


def test_staff_and_support_see_all(alice: Person, staff: Person, support: Person) -> None:
    thread = thread_of(alice.user, name="Cats")
    for person in (staff, support):
        assert names(person.get(LIST)) == ["Cats"]
        assert person.get(path_of(thread)).json()["user_username"] == "alice"


def test_strangers_see_nothing(alice: Person) -> None:
    thread = thread_of(alice.user)
    for path in (LIST, f"{LIST}stats/", path_of(thread), path_of(Thread())):
        assert Client().get(f"/api/{path}").status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_what_belongs_to_others_does_not_exist(alice: Person, bob: Person, method: str) -> None:
    theirs, none = (bob.send(method, path_of(row), {}) for row in (thread_of(alice.user), Thread()))
    assert (theirs.status_code, theirs.content) == (none.status_code, none.content) == (404, none.content)


@pytest.mark.parametrize("act", ["archive", "unarchive", "cancel"])
def test_nobody_acts_in_a_conversation_of_others(alice: Person, bob: Person, act: str) -> None:
    assert bob.post(path_of(thread_of(alice.user), act)).status_code == 404


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_staff_neither_rename_nor_delete(alice: Person, staff: Person, support: Person, method: str) -> None:
    thread = thread_of(alice.user)
    assert {person.send(method, path_of(thread), {}).status_code for person in (staff, support)} == {404}


def test_staff_do_not_cancel(alice: Person, staff: Person) -> None:
    turn = turn_in(thread_of(alice.user))
    assert staff.post(path_of(turn.thread, "cancel")).status_code == 404
    turn.refresh_from_db()
    assert not turn.is_cancelled


@pytest.mark.parametrize("body", [None, {"name": "x"}, "what"])
def test_archiving_ignores_its_body(alice: Person, body: object) -> None:
    thread = thread_of(alice.user)
    for act, is_archived in (("archive", True), ("archive", True), ("unarchive", False)):
        done = alice.post(path_of(thread, act), body)
        thread.refresh_from_db()
        assert (done.status_code, done.content, thread.is_archived) == (204, b"", is_archived)


def test_archiving_ignores_a_body_that_is_not_json(alice: Person) -> None:
    path = f"/api/{path_of(thread_of(alice.user), 'archive')}"
    assert alice.client.post(path, b"{", "text/plain").status_code == 204


def test_staff_and_support_archive_for_others(alice: Person, staff: Person, support: Person) -> None:
    thread = thread_of(alice.user)
    assert staff.post(path_of(thread, "archive")).status_code == 204
    assert support.post(path_of(thread, "unarchive")).status_code == 204


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_owner_renames(alice: Person, method: str) -> None:
    thread = thread_of(alice.user)
    assert alice.send(method, path_of(thread), {"name": "Cats"}).json()["name"] == "Cats"
    thread.refresh_from_db()
    assert (thread.name, thread.is_named, thread.is_archived) == ("Cats", True, False)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_not_sent_stays(alice: Person, method: str) -> None:
    thread = thread_of(alice.user, name="Cats", modified=days_ago(3))
    assert alice.send(method, path_of(thread), {"is_archived": True}).json()["is_archived"] is True
    before = thread.modified
    thread.refresh_from_db()
    assert (thread.name, thread.is_named, thread.is_archived, thread.modified) == ("Cats", False, True, before)


@pytest.mark.parametrize("value", ["true", 1, None])
def test_a_flag_in_a_body_is_true_or_false(alice: Person, value: object) -> None:
    assert "is_archived" in alice.send("PATCH", path_of(thread_of(alice.user)), {"is_archived": value}).json()


def test_cancelling_asks_the_running_turns_to_stop(alice: Person) -> None:
    turn = running_in(thread_of(alice.user))
    for _ in range(2):
        done = alice.post(path_of(turn.thread, "cancel"))
        assert (done.status_code, done.content) == (200, b"")
    turn.refresh_from_db()
    assert turn.is_cancelled


def test_cancelling_where_nothing_runs_does_nothing(alice: Person) -> None:
    assert alice.post(path_of(thread_of(alice.user), "cancel")).status_code == 200


def test_deleting_takes_messages_and_ended_turns_with_it(alice: Person, bob: Person) -> None:
    theirs, thread = thread_of(bob.user, "Hello", "Hi"), thread_of(alice.user, "Hello", "Hi", "And?")
    turn_in(thread, ended=timezone.now(), question=thread.messages.first())
    assert alice.send("DELETE", path_of(thread)).status_code == 204
    assert [*Thread.objects.all()] == [theirs]
    assert Message.objects.count() == 2
    assert not Turn.objects.exists()
    assert alice.get(path_of(thread)).status_code == 404


def test_deleting_leaves_running_turns_to_their_process(alice: Person) -> None:
    thread = thread_of(alice.user, "Hello")
    turn = running_in(thread, question=thread.messages.first(), reserved=9)
    alice.send("DELETE", path_of(thread))
    turn.refresh_from_db()
    assert (turn.thread, turn.question, turn.is_cancelled, turn.reserved) == (None, None, True, 9)
    assert turn.status == Turn.Status.RUNNING


def test_staff_who_read_leave_a_record(alice: Person, staff: Person) -> None:
    thread = thread_of(alice.user)
    staff.get(path_of(thread))
    alice.get(path_of(thread))
    assert [(read.reader, read.owner, read.thread) for read in Reading.objects.all()] == [
        (staff.user, alice.user, thread.uuid)
    ]


def test_only_the_fields_that_were_asked_for_are_shown(alice: Person) -> None:
    thread = thread_of(alice.user, name="Cats")
    wanted = {"uuid": thread.uuid.hex, "name": "Cats"}
    assert alice.get(LIST, field=["uuid", "name"]).json() == [wanted]
    assert alice.get(path_of(thread), field=["uuid", "name"]).json() == wanted


@pytest.mark.parametrize("where", ["list", "one"])
def test_a_field_that_does_not_exist_is_refused(alice: Person, where: str) -> None:
    path = LIST if where == "list" else path_of(thread_of(alice.user))
    assert list(alice.get(path, field="password").json()) == ["field", "code"]


def test_an_answer_does_not_depend_on_the_switches(alice: Person) -> None:
    thread_of(alice.user, name="Cats")
    with override_settings(WALDUR_CHAT={"ENABLED": False}):
        assert names(alice.get(LIST)) == ["Cats"]


def test_options_tell_nothing_of_a_conversation(alice: Person, bob: Person) -> None:
    thread = thread_of(alice.user)
    answers = [person.send("OPTIONS", path_of(thread)) for person in (alice, bob)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


def test_our_limits_are_for_asking_only(alice: Person, settings: Any) -> None:
    rates = {"chat_stream": "1/day", "chat_invoke": "1/day"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    with scripted("Hello"):
        assert alice.post("chat/invoke/").headers["RateLimit"]
    assert "RateLimit" not in alice.get(LIST).headers


def test_every_answer_has_the_id_of_its_request(alice: Person) -> None:
    answer = alice.client.get(f"/api/{LIST}", headers={"X-Request-ID": "abc"})
    assert answer.headers["X-Request-ID"] == "abc"
    assert UUID(alice.get(f"{LIST}x/").headers["X-Request-ID"])


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(alice: Person, count: int, django_assert_num_queries: Any) -> None:
    threads = [thread_of(alice.user, "Hello", "Hi") for _ in range(count)]
    for path, query, queries in (
        (LIST, {"page_size": 20}, 3),
        (LIST, {"page_size": 20, "query": "hello", "o": "modified"}, 3),
        (f"{LIST}stats/", {}, 2),
        (path_of(threads[0]), {}, 2),
    ):
        with django_assert_num_queries(queries):
            assert alice.get(path, **query).status_code == 200


@pytest.mark.parametrize("count", [1, 20])
def test_deleting_takes_a_fixed_number_of_queries(
    alice: Person, count: int, django_assert_max_num_queries: Any
) -> None:
    thread = thread_of(alice.user, *["Hello"] * count)
    with django_assert_max_num_queries(13):
        alice.send("DELETE", path_of(thread))
