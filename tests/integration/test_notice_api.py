"""The notice and the mark of answers over the API, before anybody has asked anything and within each answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import checks
from django.http import HttpResponse
from django.test import Client

from tests.integration.conftest import Caller, Reply
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of, turn_in
from waldur_chat.api.views.config import ConfigViewSet
from waldur_chat.errors import ProviderFailed
from waldur_chat.testing import scripted

URL = "/api/chat/config/"
NOTICE = {"en": "AI writes.", "de": "Hier schreibt eine KI."}
HEADER = "AI-Disclosure"
SSE, NDJSON = "text/event-stream", "application/x-ndjson"


@pytest.fixture(autouse=True)
def site(settings: Any) -> Any:
    """A site with a notice in two languages."""
    settings.WALDUR_CHAT = {"NOTICE": NOTICE, "ASSISTANT_NAME": "Wanda", "ATTEMPTS": 1}
    return settings


def config(**headers: str) -> Any:
    """The response, without credentials."""
    return Client().get(URL, headers={name.replace("_", "-"): value for name, value in headers.items()})


def start(reply: Reply) -> Any:
    """The fields of the first event of a stream."""
    first = next(line for line in reply.body.splitlines() if line.startswith((b"data: ", b"{")))
    fields = json.loads(first.removeprefix(b"data: "))
    return fields.get("m", fields)


class TestConfig:
    """What everybody may know."""

    def test_everybody_is_told_name_notice_and_language_and_nothing_else(self) -> None:
        assert config().json() == {"name": "Wanda", "notice": NOTICE["en"], "language": "en"}

    def test_it_is_in_the_language_of_the_request(self) -> None:
        assert config(Accept_Language="de").json() == {"name": "Wanda", "notice": NOTICE["de"], "language": "de"}

    def test_a_site_without_a_notice_has_an_empty_one(self, site: Any) -> None:
        site.WALDUR_CHAT["NOTICE"] = ""
        assert config().json()["notice"] == ""

    def test_wrong_credentials_do_not_matter(self) -> None:
        assert config(Authorization="Token wrong").status_code == 200

    def test_it_is_kept_by_the_browser_and_for_its_language_only(self) -> None:
        response = config()
        assert response["Cache-Control"] == "private, max-age=60"
        assert {"Accept-Language", "Cookie"} <= set(response["Vary"].split(", "))

    @pytest.mark.parametrize("off", [{"ENABLED": False}, {"ENABLED_ROLES": "disabled"}, {"PROVIDERS": {}}])
    def test_it_is_there_where_the_chat_is_off(self, site: Any, off: Any) -> None:
        site.WALDUR_CHAT.update(off)
        assert config().status_code == 200

    def test_settings_that_cannot_be_read_are_told_as_everywhere(self, site: Any) -> None:
        site.WALDUR_CHAT["TURN_SECONDS"] = 0
        response = config()
        assert (response.status_code, response.json()["code"]) == (409, "chat_not_configured")

    def test_no_throttle_counts_it(self) -> None:
        assert ConfigViewSet().get_throttles() == []

    def test_nothing_else_can_be_done_there(self) -> None:
        assert Client().post(URL, {}, "application/json").status_code == 405

    @pytest.mark.django_db  # Django asks it whether it has JSON.
    def test_a_notice_that_cannot_be_is_found_by_check(self, site: Any) -> None:
        site.WALDUR_CHAT["NOTICE"] = ["AI"]
        (found,) = [one for one in checks.run_checks() if one.id == "waldur_chat.E001"]
        assert found.msg == "WALDUR_CHAT['NOTICE']: It must be a string, or a dict from language codes to strings."


class TestStreams:
    """The first event of each stream."""

    @pytest.mark.parametrize("accept", [SSE, NDJSON])
    def test_the_first_event_has_the_notice_and_the_mark(self, call: Caller, accept: str) -> None:
        with scripted("Hello"):
            first = start(call.stream(Accept=accept, Accept_Language="de"))
        assert (first["notice"], first["ai_generated"]) == (NOTICE["de"], True)

    def test_without_a_notice_it_has_the_mark(self, site: Any, call: Caller) -> None:
        site.WALDUR_CHAT["NOTICE"] = ""
        with scripted("Hello"):
            first = start(call.stream())
        assert "notice" not in first
        assert first["ai_generated"] is True

    @pytest.mark.parametrize("accept", [SSE, NDJSON])
    @pytest.mark.parametrize("after", ["0", "3"])
    def test_a_reader_who_comes_back_gets_it_too(self, user: Any, call: Caller, accept: str, after: str) -> None:
        thread = thread_of(user, "Hi", "Hello")
        turn = turn_in(thread, user=user, answer=message_of(thread, 1), ended=thread.created)
        first = start(call.get(f"/api/chat/turns/{turn.uuid}/events/", Last_Event_ID=after, Accept=accept))
        assert (first["turn_uuid"], first["notice"], first["ai_generated"]) == (turn.uuid.hex, NOTICE["en"], True)


class TestHeader:
    """The header of answers."""

    def test_an_answer_has_it(self, call: Caller) -> None:
        with scripted("Hello"):
            assert call.invoke().headers[HEADER] == "mode=ai-originated"

    @pytest.mark.parametrize("accept", [SSE, NDJSON, "text/plain"])
    def test_a_stream_has_it(self, call: Caller, accept: str) -> None:
        with scripted("Hello"):
            assert call.stream(Accept=accept).headers[HEADER] == "mode=ai-originated"

    def test_the_events_of_a_turn_have_it_and_nothing_more_to_come_has_not(self, user: Any, call: Caller) -> None:
        thread = thread_of(user, "Hi", "Hello")
        turn = turn_in(thread, user=user, answer=message_of(thread, 1), ended=thread.created)
        url = f"/api/chat/turns/{turn.uuid}/events/"
        assert call.get(url).headers[HEADER] == "mode=ai-originated"
        nothing = call.get(url, Last_Event_ID="end")
        assert (nothing.status, nothing.headers.get(HEADER)) == (204, None)

    def test_an_error_has_not(self, call: Caller) -> None:
        with scripted(ProviderFailed()):
            failed = call.stream()
        assert (failed.status, failed.headers.get(HEADER)) == (502, None)

    def test_other_endpoints_have_not(self, alice: Person) -> None:
        responses: list[HttpResponse] = [
            alice.get("chat-messages/"),
            alice.send("OPTIONS", "chat/stream/"),
            config(),
        ]
        assert [(one.status_code, one.get(HEADER)) for one in responses] == [(200, None)] * 3
