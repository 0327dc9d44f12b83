"""What the offline provider calls where tools are offered, and what it says of the results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.aio import answer, run
from waldur_chat.events import CallRequested, Delta, Stopped
from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.providers.offline import OfflineProvider
from waldur_chat.store.turns.approvals.decisions import DENIED
from waldur_chat.wire.framing import framed

CREATE = {
    "type": "object",
    "required": ["name", "project", "size"],
    "properties": {"name": {"type": "string"}, "project": {"type": "string"}, "size": {"enum": ["small", "large"]}},
}
LIST, VMS, MAKE = ToolSpec(name="list_projects"), ToolSpec(name="list_vms"), ToolSpec(name="create_vm", schema=CREATE)
ASK = ToolSpec(name="ask_user")
ROWS = json.dumps({"rows": [{"name": "Apollo", "vms": 2}, {"name": "Gemini", "vms": 0}, {"vms": 1}], "total": 3})


def said(*messages: Message, tools: tuple[ToolSpec, ...] = (LIST, VMS, MAKE, ASK), **others: Any) -> tuple[str, Any]:
    """The text, and the call: its tool and arguments, or None."""
    events = run(answer(OfflineProvider(delay=0), Prompt(messages=messages, tools=tools, **others)))
    calls = [(event.name, json.loads(event.arguments)) for event in events if isinstance(event, CallRequested)]
    assert events[-1] == Stopped(reason="tool_calls" if calls else "stop")
    return "".join(event.text for event in events if isinstance(event, Delta)), calls[0] if calls else None


def user(text: str) -> Message:
    return Message(role="user", text=text)


def called(name: str, result: str, number: int = 1) -> tuple[Message, Message]:
    call = Call(id=f"call{number:05}", name=name)
    return Message(role="assistant", text="", calls=(call,)), Message(role="tool", text=result, call_id=call.id)


@pytest.mark.parametrize(
    ("question", "tool"),
    [("List my projects!", "list_projects"), ("show all VMs", "list_vms"), ("What is a project?", None)],
)
def test_the_tool_is_called_whose_words_are_in_the_question(question: str, tool: str | None) -> None:
    call = said(user(question))[1]
    assert (call and call[0]) == tool


@pytest.mark.parametrize(
    "question",
    [
        "Create a small VM called web-1 in project Apollo",
        'new machine named "web-1" in project "Apollo", small',
        'Create a VM. Project: Apollo. Size: small. Name: "web-1".',
    ],
)
def test_arguments_are_taken_from_the_question(question: str) -> None:
    assert said(user(question))[1] == ("create_vm", {"name": "web-1", "project": "Apollo", "size": "small"})


def test_what_can_be_chosen_is_listed_before_it_is_asked_for() -> None:
    question = user("Create a small VM called web-1")
    assert said(question)[1] == ("list_projects", {})
    tool, form = said(question, *called("list_projects", ROWS))[1]
    assert tool == "ask_user"
    assert form["questions"] == [
        {
            "question": "Which project?",
            "header": "Project",
            "options": [{"label": "Apollo"}, {"label": "Gemini"}],
            "allowFreeText": False,
        }
    ]


def test_what_cannot_be_listed_is_asked_for_in_free_text() -> None:
    _, form = said(user("Create a VM"), tools=(MAKE, ASK))[1]
    assert [question.get("options") for question in form["questions"]] == [
        None,
        None,
        [{"label": "small"}, {"label": "large"}],
    ]


def test_the_answers_of_a_form_belong_to_the_question_before_it() -> None:
    asked = (user("Create a VM called web-1"), *called("ask_user", "The user is asked."))
    done = Message(role="assistant", text="I need to know more.")
    assert said(*asked, done, user("Project: Apollo. Size: large."))[1] == (
        "create_vm",
        {"name": "web-1", "project": "Apollo", "size": "large"},
    )
    assert said(user("Create a VM"), done, user("Project: Apollo."))[1] is None
    assert said(*asked, done, user("List my VMs"))[1] == ("list_vms", {})


def test_without_a_form_the_call_tells_what_is_missing() -> None:
    assert said(user("Create a VM"), tools=(MAKE,))[1] == ("create_vm", {})


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (ROWS, "|name|vms|\n|-|-|\n|Apollo|2|\n|Gemini|0|\n||1|"),
        ('[{"a": null, "b": true}]', "|a|b|\n|-|-|\n||yes|"),
        ('{"a": "x|y"}', "|a|\n|-|\n|x\\|y|"),
        ('{"rows": []}', "There is nothing to list."),
        ("Permission denied.", "Permission denied."),
        ("[1]", "The result is [1]."),
        (" ", "It is done."),
        (DENIED, "You have denied this, so nothing was done."),
        (framed('{"a": 1}', "SG-u_bTG"), "|a|\n|-|\n|1|"),
    ],
)
def test_results_are_shown(result: str, text: str) -> None:
    assert said(user("List my projects"), *called("list_projects", result)) == (text, None)


def test_a_long_list_is_cut() -> None:
    text, _ = said(user("List my VMs"), *called("list_vms", json.dumps([{"id": at} for at in range(30)])))
    assert "|19|\n\nThere are 10 more." in text


def test_in_the_last_round_nothing_is_called() -> None:
    assert said(user("List my VMs"), tool_choice="none")[1] is None


def test_it_says_what_can_be_called() -> None:
    assert "name one: “list projects”" in said(user("Hello"))[0]


SEARCH = ToolSpec(name="search_tools")


def test_where_tools_are_many_it_searches_for_the_words_of_the_question() -> None:
    text, called_tool = said(user("Search tools: list my projects"), tools=(SEARCH, ASK))
    assert (text, called_tool[0]) == ("Let me see which tool fits.", "search_tools")
    assert called_tool[1] == {"query": "Search tools: list my projects"}


def test_it_calls_what_its_search_has_loaded() -> None:
    messages = (user("List my projects"), *called("search_tools", '{"loaded":["list_projects"]}'))
    assert said(*messages, tools=(SEARCH, ASK, LIST))[1] == ("list_projects", {})


def test_it_searches_once() -> None:
    messages = (user("Hello"), *called("search_tools", '{"loaded":[]}'))
    assert said(*messages, tools=(SEARCH, ASK))[1] is None
