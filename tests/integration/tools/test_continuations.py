"""Answers that go on after a decision or a form: what the model gets back, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake.running import serving
from tests.fake.service import Service
from tests.integration.chatting import settled
from tests.integration.stored import client_of
from tests.integration.tools.answering import call, unframed
from tests.integration.turning import ask
from waldur_chat.events import Failed, Finished, Reasoning, Stopped, ToolAnswered, Usage
from waldur_chat.models import Message, Thread, ToolCall, Turn
from waldur_chat.tools import ToolContext, ToolResult, tool
from waldur_chat.turns.tools import thoughts

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {"key": "ask_user_form", "questions": [{"id": "q0", "question": "Sure?"}]}


@tool(safe=True, trusted=True)
def look() -> str:
    """Looks."""
    return "seen"


@tool
def order(context: ToolContext) -> str:
    """Orders a machine."""
    return "Ordered."


@tool
def show(context: ToolContext) -> ToolResult:
    """Does something, and leaves the rest to the user."""
    return ToolResult(summary="It is shown.", ui_component="ask_user_form", ui_data=FORM, ends_turn=True)


TOOLS = {
    **{name: {"BACKEND": f"{__name__}.{name}"} for name in ("look", "order", "show")},
    "ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"},
}
KEY = {"reasoning_key": "reasoning_content"}


def decide(user: Any, word: str = "approve") -> str:
    """The stream of the answer that goes on after a decision on the call that waits."""
    uuid = ToolCall.objects.get(status="waiting").uuid.hex
    response = client_of(user).post(f"/api/chat-tool-calls/{uuid}/{word}/")
    words = b"".join(response).decode()
    settled()
    return words


def told(said: Any) -> list[tuple[str, str]]:
    """What the model was told last."""
    return [(message.role, unframed(message.text)) for message in said.prompts[-1].messages]


def thought(said: Any) -> list[tuple[str, str]]:
    """The thoughts that the model got back last, with each round of calls."""
    return [(one.reasoning_key, one.reasoning) for one in said.prompts[-1].messages if one.calls]


def follow(user: Any, text: str | None = None, **question: Any) -> Any:
    """Ask in the conversation that there is."""
    return ask(user, text, thread=Thread.objects.get().uuid, **question)


class TestThoughts:
    """Services that want their thoughts back get them in the turn that goes on, too."""

    @pytest.fixture
    def service(self, settings: Any) -> Iterator[Service]:
        """A service that refuses calls which come back without the thoughts before them."""
        running = Service()
        with serving(running) as address:
            name = "tools=return&reasoning=reasoning_content&call=order&text=Done."
            options = {"base_url": f"{address}/v1", "api_key": "k", "model": name}
            provider = {"BACKEND": "tests.unit.test_rounds_of_a_service.BriefProvider", "OPTIONS": options}
            values = {"STORAGE": True, "ATTEMPTS": 1, "TITLES": False, "TOOLS": TOOLS}
            settings.WALDUR_CHAT = {**values, "PROVIDERS": {"default": provider}}
            yield running

    @pytest.mark.parametrize("word", ["approve", "deny"])
    def test_a_service_that_wants_them_goes_on(self, user: Any, service: Service, word: str) -> None:
        ask(user, "Order")
        assert '"c":"Done."' in decide(user, word)
        (asking,) = [one for one in service.stats.requests[-1]["body"]["messages"] if "tool_calls" in one]
        assert asking["reasoning_content"] == "Let me think."

    def test_such_a_service_refuses_without_them(self, user: Any, service: Service) -> None:
        ask(user, "Order")
        ToolCall.objects.update(thoughts=None)
        assert "event: error" in decide(user)

    def test_those_of_all_rounds_of_the_question_go_back(self, user: Any, model: Any) -> None:
        looked = [Reasoning(text="First."), call(1, "look", **KEY)]
        ordered = [Reasoning(text="Then."), call(2, "order", **KEY)]
        again = [Reasoning(text="Again."), call(3, "order", **KEY)]
        said = model(looked, ordered, again, ["Done."], TOOLS=TOOLS)
        ask(user, "Order")
        decide(user)
        decide(user)
        assert thought(said) == [("reasoning_content", word) for word in ("First.", "Then.", "Again.")]

    def test_a_reload_of_what_went_on_has_them(self, user: Any, model: Any) -> None:
        said = model([Reasoning(text="Hm."), call(1, "order", **KEY)], ["Done."], TOOLS=TOOLS)
        ask(user, "Order")
        decide(user)
        follow(user, mode="reload")
        assert thought(said) == [("reasoning_content", "Hm.")]

    def test_a_new_question_deletes_them(self, user: Any, model: Any) -> None:
        said = model([Reasoning(text="Hm."), call(1, "order", **KEY)], ["Done."], TOOLS=TOOLS)
        ask(user, "Order")
        decide(user)
        follow(user, "Thanks")
        assert ToolCall.objects.get().thoughts is None
        assert thought(said) == [("", "")]

    def test_of_calls_that_do_not_wait_none_are_stored(self, user: Any, model: Any) -> None:
        model([Reasoning(text="Hm."), call(1, "look", **KEY)], ["Done."], TOOLS=TOOLS)
        ask(user, "Look")
        assert ToolCall.objects.get().thoughts is None

    def test_very_long_ones_keep_their_end(self, user: Any, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(thoughts, "MOST_CHARACTERS", 8)
        looked = [Reasoning(text="0123456789"), call(1, "look", **KEY)]
        said = model(looked, [Reasoning(text="ab\0cdef"), call(2, "order", **KEY)], ["Done."], TOOLS=TOOLS)
        ask(user, "Order")
        decide(user)
        assert [text for _, text in thought(said)] == ["6789", "cdef"]


class TestLeftToTheUser:
    """A tool that ends the turn ends it after an approval, too."""

    def test_the_model_is_not_asked_again(self, user: Any, model: Any) -> None:
        said = model(["I will.", call(1, "show")], ["never"], ["Thanks."], TOOLS=TOOLS)
        ask(user, "Show")
        words = decide(user)
        assert len(said.prompts) == 1
        assert '"finish_reason":"stop"' in words
        assert '"key":"ask_user_form"' in words
        assert list(Message.objects.order_by("pk").values_list("role", "text", "status")) == [
            ("user", "Show", "complete"), ("assistant", "I will.", "complete")
        ]  # fmt: skip
        assert Turn.objects.latest("pk").status == "finished"

    def test_the_conversation_goes_on_with_the_next_question(self, user: Any, model: Any) -> None:
        said = model([call(1, "show")], ["Thanks."], TOOLS=TOOLS)
        ask(user, "Show")
        decide(user)
        follow(user, "Yes")
        assert told(said)[-3:] == [("tool", "It is shown."), ("assistant", "[The answer ended here.]"), ("user", "Yes")]

    def test_it_does_not_end_the_turn_if_it_is_denied(self, user: Any, model: Any) -> None:
        model([call(1, "show")], ["As you like."], TOOLS=TOOLS)
        ask(user, "Show")
        assert "As you like." in decide(user, "deny")


class TestForms:
    """The user's next message is the answer; the model gets the form and the answer together."""

    ASKING = {"questions": [{"question": "Which size?"}]}
    ASKED = "The user is asked. Their next message is the answer."

    @pytest.fixture
    def asked(self, user: Any, model: Any) -> Any:
        """A form that the user has answered, and what the model was told since."""
        said = model([call(1, "ask_user", json.dumps(self.ASKING))], ["Done."], ["Else."], TOOLS=TOOLS)
        ask(user, "Create a VM")
        follow(user, "Size: small.")
        return said

    def expect(self, said: Any, answer: str) -> None:
        """The model was told of the form, and of this answer."""
        assert told(said) == [
            ("user", "Create a VM"), ("assistant", ""), ("tool", self.ASKED),
            ("assistant", "[The answer ended here.]"), ("user", answer),
        ]  # fmt: skip
        (asking,) = said.prompts[-1].messages[1].calls
        assert (asking.name, json.loads(asking.arguments)) == ("ask_user", self.ASKING)

    def test_the_answer_follows_the_form(self, asked: Any) -> None:
        self.expect(asked, "Size: small.")

    def test_it_does_after_a_reload(self, user: Any, asked: Any) -> None:
        follow(user, mode="reload")
        self.expect(asked, "Size: small.")

    def test_it_does_after_an_edit(self, user: Any, asked: Any) -> None:
        answer = Message.objects.get(text="Size: small.")
        follow(user, "Size: large.", mode="edit", edited=answer.uuid)
        self.expect(asked, "Size: large.")

    def test_a_form_that_is_asked_for_again_is_not_told(self, user: Any, model: Any) -> None:
        said = model([call(1, "ask_user", json.dumps(self.ASKING))], ["Done."], TOOLS=TOOLS)
        ask(user, "Create a VM")
        follow(user, mode="reload")
        assert told(said) == [("user", "Create a VM")]


class TestBudget:
    """A budget that ends within a turn."""

    SPENT = Usage(input_tokens=5000, output_tokens=500)

    def test_without_any_text_the_end_says_so_and_the_calls_are_kept(self, user: Any, model: Any) -> None:
        said = model([call(1, "look"), self.SPENT], ["never"], TOOLS=TOOLS, USER_TOKENS_DAILY=5600)
        end = ask(user, "Look")[-1]
        assert isinstance(end, Failed)
        assert (end.error.code, len(said.prompts)) == ("budget_used_up", 1)
        answer = Message.objects.get(role="assistant")
        assert (answer.status, answer.code, answer.input_tokens) == ("failed", "budget_used_up", 5000)
        assert answer.blocks[0]["tool"]["outcome"] == ToolCall.objects.get().status == "done"
        turn = Turn.objects.get()
        assert (turn.code, turn.input_tokens, turn.output_tokens) == ("budget_used_up", 5000, 500)

    def test_a_call_that_was_approved_is_kept(self, user: Any, model: Any, settings: Any) -> None:
        said = model([call(1, "order")], [call(2, "look"), self.SPENT], TOOLS=TOOLS)
        ask(user, "Order")
        settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "USER_TOKENS_DAILY": 5600}
        assert '"code":"budget_used_up"' in decide(user)
        assert (ToolCall.objects.earliest("pk").status, len(said.prompts)) == ("done", 2)

    def test_with_text_the_answer_is_cut_off(self, user: Any, model: Any) -> None:
        model(["Hm.", call(1, "look"), self.SPENT], ["never"], TOOLS=TOOLS, USER_TOKENS_DAILY=5600)
        end = ask(user, "Look")[-1]
        assert isinstance(end, Finished)
        assert end.reason == "length"

    def test_thoughts_that_use_it_up_are_no_empty_answer(self, user: Any, model: Any) -> None:
        thinking = [Reasoning(text="Hm. " * 1000), Stopped(reason="stop")]
        model(thinking, TOOLS={}, TITLES=False, USER_TOKENS_DAILY=400)
        end = ask(user, "Think")[-1]
        assert isinstance(end, Failed)
        assert end.error.code == "budget_used_up"


def test_what_ends_a_turn_is_told_to_its_readers(user: Any, model: Any) -> None:
    model([call(1, "show")], TOOLS={**TOOLS, "show": {**TOOLS["show"], "APPROVAL": "never"}})
    (answered,) = [event for event in ask(user, "Show") if isinstance(event, ToolAnswered)]
    assert answered.block["key"] == "ask_user_form"
