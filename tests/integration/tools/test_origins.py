"""A call that waits says where its arguments come from, wherever its user sees it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.chatting import settled
from tests.integration.counting import counted
from tests.integration.stored import client_of
from tests.integration.tools.answering import call
from tests.integration.turning import ask
from waldur_chat import chat
from waldur_chat.events import ToolCalled
from waldur_chat.models import Message, Thread, ToolCall
from waldur_chat.store.turns.calls.sources import Sources, sources_of
from waldur_chat.tools import ToolContext, tool

pytestmark = pytest.mark.django_db(transaction=True)


@tool
def order(context: ToolContext, name: str, project: str = "", size: int = 1) -> str:
    """Orders a machine."""
    return f"Ordered {name}."


@tool(safe=True)
def projects() -> list[dict[str, str]]:
    """Lists projects."""
    return [{"name": "Apollo", "uuid": "3f2a-77"}]


@tool(safe=True)
def check(name: str) -> str:
    """Refuses a name."""
    raise ValueError(name)


TOOLS = {name: {"BACKEND": f"{__name__}.{name}"} for name in ("order", "projects", "check")}
ORDER = call(9, "order", '{"name": "web-1", "project": "3f2a-77", "size": 4}')
USER, MODEL, LISTED = {"source": "user"}, {"source": "model"}, {"source": "result", "tool": "projects"}
ORIGINS = {"name": [USER], "project": [LISTED], "size": [MODEL]}


def origins() -> Any:
    return ToolCall.objects.get(tool="order").origins


@pytest.fixture
def waiting(user: Any, model: Any) -> list[Any]:
    """The events of an answer whose call waits, after a look-up."""
    model([call(1, "projects")], [ORDER], ["Done."], TOOLS=TOOLS)
    return ask(user, "Order web-1 in Apollo")


class TestShown:
    """The same for every client."""

    def test_the_event_has_them(self, waiting: Any) -> None:
        looked, ordered = [event for event in waiting if isinstance(event, ToolCalled)]
        assert (looked.origins, ordered.origins) == ({}, ORIGINS)

    def test_the_answer_in_python_has_them(self, user: Any, model: Any) -> None:
        model([call(1, "projects")], [ORDER], TOOLS=TOOLS)
        answer = chat.invoke("Order web-1 in Apollo", user=user)
        assert [one.origins for one in answer.calls] == [{}, ORIGINS]

    def test_the_rows_of_calls_have_them(self, user: Any, waiting: Any) -> None:
        ordered, looked = client_of(user).get("/api/chat-tool-calls/").json()
        assert (looked["origins"], ordered["origins"]) == ({}, ORIGINS)

    def test_the_blocks_of_the_answer_have_them(self, waiting: Any) -> None:
        looked, ordered = [block["tool"] for block in Message.objects.get(role="assistant").blocks]
        assert ordered["origins"] == ORIGINS
        assert "origins" not in looked

    def test_readers_that_rejoin_get_them(self, user: Any, waiting: Any) -> None:
        turn = ToolCall.objects.get(tool="order").turn
        assert turn
        text = b"".join(client_of(user).get(f"/api/chat/turns/{turn.uuid.hex}/events/")).decode()
        assert text.count('"origins":{"name":[{"source":"user"}]') == 1

    def test_the_stream_that_goes_on_has_them_still(self, user: Any, waiting: Any) -> None:
        uuid = ToolCall.objects.get(tool="order").uuid.hex
        response = client_of(user).post(f"/api/chat-tool-calls/{uuid}/approve/")
        text = b"".join(response).decode()
        settled()
        assert text.count('"origins":{"name":[{"source":"user"}]') == 1
        assert Message.objects.filter(role="assistant").earliest("pk").blocks[1]["tool"]["origins"] == ORIGINS

    def test_the_admin_shows_them(self, waiting: Any, admin_client: Any) -> None:
        page = admin_client.get(f"/admin/waldur_chat/toolcall/{ToolCall.objects.get(tool='order').pk}/change/")
        assert "3f2a-77" in page.content.decode()
        assert "&quot;source&quot;: &quot;user&quot;" in page.content.decode()

    def test_a_list_of_calls_reads_no_conversation(self, user: Any, waiting: Any) -> None:
        with counted() as found:
            client_of(user).get("/api/chat-tool-calls/")
        assert not [one for one in found if 'FROM "waldur_chat_message"' in one]


class TestSources:
    """What counts, and what does not."""

    def test_earlier_questions_and_results_count(self, user: Any, model: Any) -> None:
        model([call(1, "projects")], ["a"], [ORDER], TOOLS=TOOLS)
        ask(user, "I like web-1")
        ask(user, "Order it", thread=Thread.objects.get().uuid)
        assert origins() == ORIGINS

    def test_what_the_assistant_has_said_is_its_own(self, user: Any, model: Any) -> None:
        model(["web-1, 3f2a-77"], [ORDER], TOOLS=TOOLS)
        ask(user, "Suggest")
        ask(user, "Order it", thread=Thread.objects.get().uuid)
        assert origins() == {"name": [MODEL], "project": [MODEL], "size": [MODEL]}

    def test_other_conversations_do_not_count(self, user: Any, model: Any) -> None:
        model(["a"], [ORDER], TOOLS=TOOLS)
        ask(user, "web-1")
        ask(user, "Order it")
        assert origins()["name"] == [MODEL]

    def test_a_question_that_is_replaced_does_not_count(self, user: Any, model: Any) -> None:
        model([call(1, "projects")], ["a"], [ORDER], TOOLS=TOOLS)
        ask(user, "Order web-1")
        thread, question = Thread.objects.get(), Message.objects.get(role="user")
        ask(user, "Order something", mode="edit", edited=question.uuid, thread=thread.uuid)
        assert origins() == {"name": [MODEL], "project": [MODEL], "size": [MODEL]}

    def test_an_answer_that_is_replaced_does_not_count(self, user: Any, model: Any) -> None:
        model([call(1, "projects")], ["a"], [ORDER], TOOLS=TOOLS)
        ask(user, "Order web-1")
        ask(user, mode="reload", thread=Thread.objects.get().uuid)
        assert origins() == {"name": [USER], "project": [MODEL], "size": [MODEL]}

    def test_an_error_that_repeats_the_call_is_no_source(self, user: Any, model: Any) -> None:
        model([call(1, "check", '{"name": "web-1"}')], [ORDER], TOOLS=TOOLS)
        ask(user, "Order something")
        assert origins()["name"] == [MODEL]

    def test_the_answer_that_goes_on_has_the_results_of_before(self, user: Any, model: Any) -> None:
        again = call(10, "order", '{"name": "web-1", "project": "3f2a-77", "size": 4}')
        model([call(1, "projects")], [ORDER], [again], ["Done."], TOOLS=TOOLS)
        ask(user, "Order web-1 twice")
        client = client_of(user)
        b"".join(client.post(f"/api/chat-tool-calls/{ToolCall.objects.get(tool='order').uuid.hex}/approve/"))
        settled()
        assert ToolCall.objects.latest("pk").origins == ORIGINS

    def test_a_greeting_has_no_question(self, user: Any, model: Any) -> None:
        model([ORDER], TOOLS=TOOLS, OPENING_PROMPT="Greet web-1")
        ask(user)
        assert origins()["name"] == [MODEL]

    def test_a_turn_that_is_gone_has_none(self, user: Any) -> None:
        assert sources_of(uuid4().hex) == Sources()


def test_a_call_that_does_not_wait_costs_nothing(user: Any, model: Any) -> None:
    model([call(1, "projects")], ["a"], TOOLS=TOOLS)
    with counted() as found:
        ask(user, "Hi")
    assert ToolCall.objects.get().origins is None
    assert not [one for one in found if '"waldur_chat_toolcall"."tool", "waldur_chat_toolcall"."arguments"' in one]
