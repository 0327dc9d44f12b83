"""The form with which a model asks the user."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.integration.tools.answering import call
from tests.integration.turning import ask
from tests.unit.aio import run
from waldur_chat import chat
from waldur_chat.events import ToolAnswered
from waldur_chat.models import Message
from waldur_chat.tools import ToolContext, ToolResult
from waldur_chat.tools.ask_user import AskUser
from waldur_chat.tools.execution import run as execute

FORM = '{"questions": [{"question": "Which size?"}]}'


def form(text: str) -> ToolResult:
    return run(execute(AskUser(), ToolContext(user=None), text))


def test_questions_and_options_get_ids() -> None:
    shown = form('{"questions": [{"question": "Which size?", "options": [{"label": "S"}, {"label": "L"}]}]}').ui_data
    assert shown["context"] == ""
    assert shown["questions"] == [
        {
            "id": "q0",
            "question": "Which size?",
            "header": "",
            "options": [{"id": "q0o0", "label": "S"}, {"id": "q0o1", "label": "L"}],
            "multiSelect": False,
            "allowFreeText": True,
        }
    ]


def test_options_that_are_equal_but_for_their_case_are_one() -> None:
    options = '[{"label": "Small"}, {"label": "small", "value": "x"}, {"label": "Large"}]'
    question = form(f'{{"questions": [{{"question": "Which?", "options": {options}}}]}}').ui_data["questions"][0]
    assert [(option["id"], option["label"]) for option in question["options"]] == [("q0o0", "Small"), ("q0o1", "Large")]
    assert "value" not in question["options"][0]


@pytest.mark.parametrize(
    "text",
    [
        '{"questions": []}',
        '{"questions": [{"question": "Eh?"}]}',
        '{"questions": [{"question": "Which?", "options": [{"label": "a"}, {"label": "A"}]}]}',
        f'{{"questions": [{",".join(["{}"] * 5)}]}}',
    ],
)
def test_what_is_no_form_is_told_to_the_model(text: str) -> None:
    result = form(text)
    assert (result.outcome, result.ends_turn) == ("validation_error", False)


@pytest.mark.django_db(transaction=True)
def test_a_form_ends_the_turn_and_is_told_to_readers(user: Any, model: Any) -> None:
    tools = {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}}
    said = model([call(1, "ask_user", FORM)], ["never asked for"], TOOLS=tools)
    (answered,) = [event for event in ask(user, "Hi") if isinstance(event, ToolAnswered)]
    assert answered.block["key"] == "ask_user_form"
    assert len(said.prompts) == 1
    (block,) = Message.objects.get(role="assistant").blocks
    assert block["result"]["questions"][0]["question"] == "Which size?"
    assert block["position"] == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", [[], ["I need to know more."]])
class TestWithoutBlocks:
    """A form where only words are read."""

    @pytest.fixture(autouse=True)
    def site(self, model: Any, words: list[str]) -> None:
        tools = {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}}
        model([*words, call(1, "ask_user", FORM)], TOOLS=tools)

    def test_a_text_has_its_questions(self, user: Any, words: list[str]) -> None:
        said = _asked(user, "stream", HTTP_ACCEPT="text/plain")
        assert b"".join(said.streaming_content).decode() == "".join([*words, "\n\n- Which size?\n"])

    def test_an_answer_in_one_has_its_questions(self, user: Any, words: list[str]) -> None:
        assert _asked(user, "invoke").json() == "\n\n".join([*words, "- Which size?"])

    def test_in_python_it_is_a_call(self, user: Any, words: list[str]) -> None:
        answer = chat.invoke("Hi", user=user)
        assert (answer.text, [one.tool for one in answer.calls]) == ("".join(words), ["ask_user"])


def _asked(user: Any, way: str, **headers: Any) -> Any:
    client = Client(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    return client.post(f"/api/chat/{way}/", {"input": "Hi"}, "application/json", **headers)
