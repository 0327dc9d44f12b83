"""Which conversations lists and totals have in them, in which order, and on which pages."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from django.utils import timezone as clock

from tests.integration.rest import Person, message_of, names
from tests.integration.stored import thread_of
from waldur_chat.models import Thread

LIST = "chat-threads/"
STATS = "chat-threads/stats/"


def at(day: int, hour: int = 12) -> datetime:
    """A time in May 2026."""
    return datetime(2026, 5, day, hour, tzinfo=timezone.utc)


@pytest.fixture
def days(alice: Person) -> None:
    """A conversation on each of three days, used a day later."""
    for day in (1, 2, 3):
        thread_of(alice.user, name=str(day), created=at(day), modified=at(day + 1))


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "321"),
        ({"created_after": "2026-05-02"}, "32"),
        ({"created_before": "2026-05-02"}, "21"),
        ({"created_after": "2026-05-02", "created_before": "2026-05-02"}, "2"),
        ({"created": "2026-05-02"}, "2"),
        ({"modified": "2026-05-02"}, "1"),
        ({"modified_after": "2026-05-03"}, "32"),
        ({"modified_before": "2026-05-03"}, "21"),
        ({"created": "2026-05-02", "created_after": "2026-05-03"}, ""),
        ({"created_after": "0001-01-01", "created_before": "9999-12-31"}, "321"),
        ({"created": "0001-01-01"}, ""),
        ({"created": "9999-12-31"}, ""),
    ],
)
def test_days_are_looked_for_from_their_first_to_their_last_moment(
    alice: Person, query: dict[str, str], found: str
) -> None:
    assert "".join(names(alice.get(LIST, **query))) == found
    assert alice.get(STATS, **query).json()["threads_total"] == len(found)


def test_days_are_those_of_the_current_time_zone(alice: Person) -> None:
    thread_of(alice.user, created=at(2, hour=23))
    with override_settings(TIME_ZONE="Europe/Tallinn"):
        assert names(alice.get(LIST, created="2026-05-02")) == []
        assert len(names(alice.get(LIST, created="2026-05-03"))) == 1


def test_a_host_without_time_zones_has_days_too(alice: Person) -> None:
    with override_settings(USE_TZ=False):
        thread_of(alice.user, created=datetime(2026, 5, 2, 23, 59))
        assert len(names(alice.get(LIST, created="2026-05-02"))) == 1


@pytest.mark.parametrize("word", ["true", "True", "1"])
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("is_archived", {"is_archived": True}),
        ("is_flagged", {"is_flagged": True}),
        ("has_feedback", {"positive_feedback": 1}),
        ("has_feedback", {"negative_feedback": 1}),
    ],
)
def test_what_is_true_or_not_is_looked_for(alice: Person, name: str, fields: dict[str, Any], word: str) -> None:
    thread_of(alice.user, name="yes", **fields)
    thread_of(alice.user, name="no")
    assert names(alice.get(LIST, **{name: word})) == ["yes"]
    assert names(alice.get(LIST, **{name: "false"})) == ["no"]
    assert names(alice.get(LIST)) == ["no", "yes"]


def test_the_worst_severity_is_looked_for(alice: Person) -> None:
    for severity in ("low", "high"):
        thread_of(alice.user, name=severity, max_severity=severity)
    assert names(alice.get(LIST, max_severity="high")) == ["high"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"input_tokens_min": "10.0"}, "ab"),
        ({"input_tokens_min": "10.5"}, "b"),
        ({"input_tokens_max": "10"}, "a"),
        ({"output_tokens_min": "6"}, "b"),
        ({"output_tokens_max": 5.9}, "a"),
        ({"total_tokens_min": 15, "total_tokens_max": 15}, "a"),
        ({"total_tokens_min": "-1e300"}, "ab"),
        ({"total_tokens_min": "1e300"}, ""),
        ({"total_tokens_max": "1e300"}, "ab"),
        ({"total_tokens_max": "-7"}, ""),
    ],
)
def test_tokens_are_looked_for(alice: Person, query: dict[str, Any], found: str) -> None:
    thread_of(alice.user, name="a", input_tokens=10, output_tokens=5, total_tokens=15)
    thread_of(alice.user, name="b", input_tokens=20, output_tokens=10, total_tokens=30)
    assert "".join(sorted(names(alice.get(LIST, **query)))) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("cat", ["Cats"]),
        ("CHESHIRE", ["Dogs"]),
        ("alice", ["Cats", "Dogs"]),
        ("ice lid", ["Cats", "Dogs"]),
        ("Liddell", ["Cats", "Dogs"]),
        ("alice@example", ["Cats", "Dogs"]),
        ("bob", ["Birds"]),
        ("100%", []),
        ("replaced words", []),
        ("", ["Birds", "Cats", "Dogs"]),
    ],
)
def test_words_are_looked_for(alice: Person, bob: Person, staff: Person, words: str, found: list[str]) -> None:
    thread_of(alice.user, "Hello", name="Cats")
    dogs = thread_of(alice.user, "The Cheshire one", "I see", name="Dogs")
    message_of(dogs, 1, text="replaced words", is_current=False)
    thread_of(bob.user, "100 percent", name="Birds")
    assert sorted(names(staff.get(LIST, query=words))) == found


def test_words_find_each_conversation_once(alice: Person) -> None:
    thread_of(alice.user, "cat", "cat", name="cat")
    assert names(alice.get(LIST, query="cat")) == ["cat"]
    assert alice.get(STATS, query="cat").json()["threads_total"] == 1


def test_words_do_not_find_what_belongs_to_others(alice: Person, bob: Person) -> None:
    thread_of(bob.user, "cat", name="cat")
    assert names(alice.get(LIST, query="cat")) == []


def test_staff_may_ask_for_their_own_only(alice: Person, staff: Person) -> None:
    thread_of(alice.user, name="hers")
    thread_of(staff.user, name="mine")
    assert names(staff.get(LIST, scope="own")) == ["mine"]
    assert len(names(staff.get(LIST))) == 2


def test_staff_ask_for_those_of_one_user(alice: Person, bob: Person, staff: Person) -> None:
    thread_of(alice.user, name="hers")
    thread_of(bob.user, name="his")
    assert names(staff.get(LIST, user=alice.uuid)) == ["hers"]
    assert names(staff.get(LIST, user=uuid4())) == []
    assert names(alice.get(LIST, user=bob.uuid)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("o", "name"),
        ("o", "created,secret"),
        ("o", ""),
        ("max_severity", "awful"),
        ("scope", "all"),
        ("user", "x"),
        ("user", ""),
        ("created", "yesterday"),
        ("created_after", "2026-13-01"),
        ("modified_before", "2026-05-01T00:00"),
        ("is_archived", "perhaps"),
        ("is_archived", ""),
        ("input_tokens_min", "many"),
        ("input_tokens_min", "nan"),
        ("total_tokens_max", "inf"),
        ("query", "a\x00b"),
    ],
)
@pytest.mark.parametrize("path", [LIST, STATS])
def test_what_cannot_be_is_refused_under_its_name(alice: Person, path: str, name: str, value: str) -> None:
    refused = alice.get(path, **{name: value})
    assert (refused.status_code, list(refused.json())) == (400, [name, "code"])


def test_parameters_that_nobody_knows_are_ignored(alice: Person) -> None:
    thread_of(alice.user)
    assert len(names(alice.get(LIST, what="ever"))) == 1


@pytest.mark.parametrize(
    ("orders", "found"),
    [
        ([], "cba"),
        (["created"], "abc"),
        (["-created"], "cba"),
        (["total_tokens"], "bca"),
        (["-total_tokens"], "acb"),
        (["models_used", "-created"], "acb"),
        (["models_used,created"], "acb"[0] + "bc"),
        (["-models_used", "models_used"], "cba"[:2] + "a"),
    ],
)
def test_orders_are_obeyed(alice: Person, orders: list[str], found: str) -> None:
    for day, (name, tokens, model) in enumerate([("a", 9, "x"), ("b", 1, "y"), ("c", 1, "y")], 1):
        thread_of(alice.user, name=name, total_tokens=tokens, models_used=model, created=at(day))
    assert "".join(names(alice.get(LIST, o=orders))) == found


@pytest.mark.parametrize("order", ["created", "-created", "models_used", "-input_tokens"])
def test_pages_have_each_conversation_once(alice: Person, order: str) -> None:
    for number in range(7):
        thread_of(alice.user, name=str(number), created=at(1))
    pages = [names(alice.get(LIST, o=order, page=page, page_size=3)) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(chain(*pages)) == list("0123456")


@pytest.mark.parametrize(
    "column", ["created", "modified", "input_tokens", "output_tokens", "total_tokens", "models_used"]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_an_index_gives_the_order(staff: Person, column: str, sign: str) -> None:
    from waldur_chat.store.conversations import thread_filters, threads

    plan = thread_filters.ordered(threads.visible_to(staff.user), [sign + column])[:10].explain()
    assert "TEMP B-TREE" not in plan
    assert thread_filters.ordered(Thread.objects.all(), [sign + column]).query.order_by == (sign + column, sign + "id")


class TestPages:
    """What stands in the head of a list."""

    @pytest.fixture(autouse=True)
    def many(self, alice: Person) -> None:
        for number in range(25):
            thread_of(alice.user, name=str(number), created=at(1), modified=clock.now())

    def test_a_page_has_ten(self, alice: Person) -> None:
        page = alice.get(LIST)
        assert (len(page.json()), page.headers["X-Result-Count"]) == (10, "25")

    def test_links_lead_to_the_other_pages(self, alice: Person) -> None:
        start = "http://testserver/api/chat-threads/?is_archived=false&page="
        page = alice.get(LIST, is_archived="false", page=2)
        assert page.headers["Link"] == (
            f'<{start}1>; rel="first", <{start}1>; rel="prev", <{start}3>; rel="next", <{start}3>; rel="last"'
        )

    def test_the_first_page_has_none_before_it(self, alice: Person) -> None:
        assert 'rel="prev"' not in alice.get(LIST).headers["Link"]

    def test_the_last_page_has_none_after_it(self, alice: Person) -> None:
        assert 'rel="next"' not in alice.get(LIST, page=3).headers["Link"]

    @pytest.mark.parametrize(("size", "count"), [("7", 7), ("300", 25), ("1000", 25), ("", 10), ("0", 10), ("-1", 10)])
    def test_the_size_of_pages_can_be_chosen(self, alice: Person, size: str, count: int) -> None:
        assert len(alice.get(LIST, page_size=size).json()) == count

    def test_a_size_of_pages_that_is_no_number_is_refused(self, alice: Person) -> None:
        refused = alice.get(LIST, page_size="x")
        assert (refused.status_code, list(refused.json())) == (400, ["page_size", "code"])

    @pytest.mark.parametrize("page", ["4", "0", "-1", "x", "9" * 5000])
    def test_a_page_that_is_not_there_is_not_found(self, alice: Person, page: str) -> None:
        refused = alice.get(LIST, page=page)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")

    def test_a_head_gives_the_number(self, alice: Person) -> None:
        head = alice.head(LIST, page_size=1)
        assert (head.status_code, head.headers["X-Result-Count"], head.content) == (200, "25", b"")

    def test_an_empty_list_has_a_page(self, bob: Person) -> None:
        page = bob.get(LIST)
        assert (page.json(), page.headers["X-Result-Count"]) == ([], "0")


def test_totals_are_those_of_the_contract(alice: Person, bob: Person, staff: Person) -> None:
    for person in (alice, bob):
        thread_of(
            person.user, message_count=4, input_tokens=10, output_tokens=5, total_tokens=15,
            is_flagged=True, positive_feedback=3, negative_feedback=1,
        )  # fmt: skip
    thread_of(bob.user)
    everything = {
        "threads_total": 3,
        "sessions_total": 2,
        "users_total": 2,
        "messages_total": 8,
        "input_tokens_total": 20,
        "output_tokens_total": 10,
        "total_tokens": 30,
        "flagged_total": 2,
        "feedback_positive": 6,
        "feedback_negative": 2,
        "satisfaction_rate": 0.75,
    }
    assert staff.get(STATS).json() == everything
    assert alice.get(STATS).json()["total_tokens"] == 15


def test_totals_of_nothing_are_zero(alice: Person) -> None:
    totals = alice.get(STATS).json()
    assert totals.pop("satisfaction_rate") is None
    assert set(totals.values()) == {0}
