"""Prompts with tools, calls and results: what stays together, what providers without tools are told, what counts."""

from __future__ import annotations

from dataclasses import replace

from waldur_chat.events import CallRequested, begins_answer, is_content
from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.text_size import total_size

USER = Message(role="user", text="Which projects?")
CALLS = Message(
    role="assistant",
    text="Let me look.",
    calls=(Call(id="call00001", name="list", arguments='{"page": 1}'), Call(id="call00002", name="count")),
)
RESULTS = (
    Message(role="tool", text="[Alpha]", call_id="call00001"),
    Message(role="tool", text="1", call_id="call00002"),
)
ANSWER = Message(role="assistant", text="There is Alpha.")
SYSTEM = Message(role="system", text="Be kind.")
NEXT = Message(role="user", text="And quotas?")
ROUND = Prompt(messages=(SYSTEM, USER, CALLS, *RESULTS))
LATER = Prompt(messages=(SYSTEM, USER, CALLS, *RESULTS, ANSWER, NEXT))


def test_a_call_begins_an_answer_and_is_content() -> None:
    event = CallRequested(id="call00001", name="list")
    assert begins_answer(event)
    assert is_content(event)


def test_the_question_is_the_users_although_results_follow_it() -> None:
    assert ROUND.question == "Which projects?"
    assert ROUND.history == ()


def test_what_follows_the_question_stays_when_history_goes() -> None:
    prompt = replace(LATER, messages=(*LATER.messages, CALLS, *RESULTS))
    assert prompt.with_history(0).messages == (SYSTEM, NEXT, CALLS, *RESULTS)


def test_calls_and_their_results_are_never_separated() -> None:
    sizes = range(total_size(LATER.history) + 1)
    kept = {len(LATER.with_history(size).history) for size in sizes}
    assert kept == {0, len(LATER.history)}


def test_all_of_a_history_that_fits_is_kept() -> None:
    assert LATER.with_history(total_size(LATER.history)) is LATER


def test_without_calls_the_results_are_told_with_the_question() -> None:
    told = replace(ROUND, tools=(ToolSpec(name="list"),), tool_choice="none").without_calls()
    text = "Which projects?\n\nResult of the tool list:\n[Alpha]\n\nResult of the tool count:\n1"
    assert told == Prompt(messages=(SYSTEM, Message(role="user", text=text)))


def test_without_calls_the_roles_alternate_as_before() -> None:
    told = LATER.without_calls()
    assert [message.role for message in told.messages] == ["system", "user", "assistant", "user"]
    assert told.messages[2].text == "Let me look.\n\nThere is Alpha."
    assert told.question == "And quotas?"


def test_a_result_whose_call_and_question_are_gone_is_told_all_the_same() -> None:
    told = Prompt(messages=(RESULTS[0],)).without_calls()
    assert told.messages == (Message(role="user", text="Result of the tool unknown:\n[Alpha]"),)


def test_a_prompt_without_calls_is_the_same() -> None:
    prompt = Prompt(messages=(SYSTEM, USER))
    assert prompt.without_calls() is prompt


def test_a_transcript_names_results() -> None:
    assert "Result of the tool list:\n[Alpha]" in LATER.transcript
    assert LATER.transcript.endswith("Assistant: Let me look.\n\nThere is Alpha.\n\nUser: And quotas?")


def test_calls_thoughts_and_tools_count() -> None:
    plain = Prompt(messages=(SYSTEM, USER, replace(CALLS, calls=()), *RESULTS))
    thinking = replace(ROUND, messages=(SYSTEM, USER, replace(CALLS, reasoning="Hm."), *RESULTS))
    offering = replace(ROUND, tools=(ToolSpec(name="list", description="Lists."),))
    sizes = [total_size(prompt.counted) for prompt in (plain, ROUND, thinking, offering)]
    assert sizes == sorted(set(sizes))


def test_the_repr_knows_no_arguments_and_no_thoughts() -> None:
    shown = repr((replace(CALLS, reasoning="secret"), CallRequested(id="c", name="n", arguments="secret")))
    assert "secret" not in shown
    assert "page" not in shown
