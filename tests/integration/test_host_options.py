"""What the host's own code may ask for, and clients may not: prompts, histories, limits, providers, schemas."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from tests.integration.chatting import USAGE, only_thread, settled
from tests.integration.stored import thread_of
from tests.unit.replying import InTurnProvider, in_turn
from waldur_chat import chat
from waldur_chat.chat import asking
from waldur_chat.errors import BudgetExhausted, InvalidAnswer, ProviderBusy
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.store.budgets.reservations import FIRST_OUTPUT_TOKENS
from waldur_chat.store.conversations import system_prompts
from waldur_chat.testing import Script, scripted

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SAID = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1."}]


@pytest.fixture(autouse=True)
def stored(settings: Any) -> None:
    """Turns are stored, by a model whose titles are the first words."""
    settings.WALDUR_CHAT = {"ATTEMPTS": 1, "STORAGE": True, "SYSTEM_PROMPT": "Be kind."}


def invoke(*args: Any, **asked: Any) -> None:
    chat.invoke(*args, **asked)


def ainvoke(*args: Any, **asked: Any) -> None:
    async_to_sync(chat.ainvoke)(*args, **asked)


def stream(*args: Any, **asked: Any) -> None:
    list(chat.stream(*args, **asked))


def astream(*args: Any, **asked: Any) -> None:
    async def main() -> None:
        assert [event async for event in chat.astream(*args, **asked)]

    async_to_sync(main)()


all_four = pytest.mark.parametrize("ask", [invoke, ainvoke, stream, astream])


def told(ask: Any, *args: Any, **asked: Any) -> list[tuple[str, str]]:
    """What the model is told."""
    with scripted("Hello", USAGE) as provider:
        ask(*args, **asked)
    return [(message.role, message.text) for message in provider.prompts[0].messages]


# The system prompt.


@all_four
def test_a_system_prompt_of_the_host_replaces_that_of_the_site(user: Any, ask: Any) -> None:
    system_prompts.activate(system_prompts.create(user, name="Kind", custom_instructions="Be very kind."))
    assert told(ask, "Hi", user=user, system="Be brief.") == [("system", "Be brief."), ("user", "Hi")]
    assert Turn.objects.get().system_prompt is None


def test_an_empty_system_prompt_is_none(db: None) -> None:
    assert told(invoke, "Hi", system="") == [("user", "Hi")]


def test_the_next_question_of_the_conversation_has_the_sites_prompt_again(user: Any) -> None:
    told(invoke, "Hi", user=user, system="Be brief.")
    assert told(invoke, "And?", user=user, thread=only_thread().uuid)[0] == ("system", "Be kind.")


# A history.


@all_four
def test_messages_of_the_host_are_the_history(user: Any, ask: Any) -> None:
    expected = [("system", "Be kind."), ("user", "One?"), ("assistant", "1."), ("user", "Two?")]
    assert told(ask, "Two?", messages=SAID) == expected
    assert told(ask, messages=[*SAID, {"role": "user", "content": "Two?"}]) == expected


def test_messages_of_the_same_role_are_joined(db: None) -> None:
    assert told(invoke, "Two?", messages=SAID[:1])[1:] == [("user", "One?\n\nTwo?")]


def test_with_messages_no_conversation_is_stored_and_tokens_are_counted(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "USER_TOKENS_DAILY": 10_000}
    told(invoke, "Two?", user=user, messages=SAID)
    settled()
    assert not Thread.objects.exists()
    assert Budget.objects.get(user=user).daily_tokens == 12
    assert DayOfUsage.objects.get().user == user


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"messages": [{"role": "system", "content": "x"}]}, "the role must be user or assistant, not 'system'"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "whose content is a string"),
        ({"messages": [{"role": "user"}]}, "messages must be a list of"),
        ({"messages": ["x"]}, "messages must be a list of"),
        ({"messages": SAID, "text": None}, "the last of the messages must be the user's"),
        ({"messages": [], "text": None}, "the last of the messages must be the user's"),
        ({"messages": SAID, "thread": "x"}, "Give messages or a thread, not both."),
        ({"text": 5}, "The question must be a string"),
        ({"thread": "abc"}, "thread must be the id of a conversation"),
        ({"thread": 5}, "thread must be the id of a conversation"),
        ({"user": "ann"}, "user must be a user of the site, not str."),
        ({"max_output_tokens": 0}, "max_output_tokens must be a whole number above 0."),
        ({"max_output_tokens": True}, "max_output_tokens must be a whole number above 0."),
        ({"system": 7}, "system must be a string."),
        ({"model": "fast"}, "There is no provider 'fast'. The settings have: default."),
    ],
)
@all_four
def test_wrong_options_are_told_at_once(ask: Any, options: dict[str, Any], words: str) -> None:
    with scripted("Hello") as provider, pytest.raises((TypeError, ValueError), match=words):
        ask(**{"text": "Hi", **options})
    assert not provider.prompts


@pytest.mark.parametrize("ask", [chat.stream, chat.astream])
@pytest.mark.parametrize("options", [{"text": 5}, {"text": "Hi", "thread": "abc"}])
def test_a_stream_tells_wrong_options_before_it_is_read(ask: Any, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="must be"):
        ask(**options)


def test_where_no_provider_is_set_up_none_is_listed(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {}}
    with pytest.raises(ValueError, match="The settings have: none"):
        chat.invoke("Hi", model="fast")


@pytest.mark.parametrize(("count", "is_tainted"), [(2, True), (1, False)])
def test_a_conversation_of_the_host_taints(settings: Any, user: Any, count: int, is_tainted: bool) -> None:
    settings.WALDUR_CHAT = {"TOOLS": {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}}}
    given = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1."}][:count]
    with scripted("2.") as provider:
        chat.invoke("Two?", user=user, messages=given)
    assert provider.prompts[0].is_tainted is is_tainted


# The limit of the answer.


@all_four
def test_the_provider_is_told_the_limit_of_the_host(ask: Any, db: None) -> None:
    with scripted("Hello") as provider:
        ask("Hi", max_output_tokens=70)
    assert provider.prompts[0].max_output_tokens == 70


@pytest.fixture
def provider_limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider has a limit of its own, and tokens are limited."""
    settings.WALDUR_CHAT = {"STORAGE": True, "TITLES": False, "USER_TOKENS_DAILY": 100_000}
    monkeypatch.setattr(InTurnProvider, "max_output_tokens", 1000)


@pytest.mark.parametrize(("asked", "limit"), [(70, 70), (5000, 1000)])
def test_the_limit_is_never_above_that_of_the_provider(user: Any, provider_limit: None, asked: int, limit: int) -> None:
    with in_turn("Hello") as provider:
        chat.invoke("Hi", user=user, max_output_tokens=asked)
    assert provider.prompts[0].max_output_tokens == limit


def test_the_limit_is_what_is_reserved(user: Any, provider_limit: None) -> None:
    def held(**options: Any) -> int:
        with in_turn(["Hello"]):
            turn = asking._prepare_asked(asking._asked("Hi", None, None, None, model="", **options), user)
            reserved = Budget.objects.get(user=user).reserved
            turn.discard()
            turn.cancel()
            settled()
        return reserved

    assert held(max_output_tokens=3) == held(max_output_tokens=None) - FIRST_OUTPUT_TOKENS + 3


# The provider.


def test_a_provider_is_asked_by_its_name(settings: Any, db: None) -> None:
    _providers(settings, default="", fast="")
    assert chat.invoke("Hi", model="fast").text == "fast"
    assert chat.invoke("Hi").text == "default"
    assert chat.invoke("Hi", model="default").text == "default"


def test_a_provider_by_name_has_its_own_fallback(settings: Any, db: None) -> None:
    _providers(settings, default="", fast="default", broken="fast")
    assert chat.invoke("Hi", model="broken").text == "fast"


def test_a_provider_by_name_has_no_other_fallback(settings: Any, db: None) -> None:
    _providers(settings, default="broken", fast="", broken="")
    with pytest.raises(ProviderBusy):
        chat.invoke("Hi", model="broken")


def _providers(settings: Any, **fallbacks: str) -> None:
    """Providers that say their name, except one that is broken."""
    path = "waldur_chat.testing.ScriptedProvider"
    settings.WALDUR_CHAT = {
        "ATTEMPTS": 1,
        "STORAGE": False,
        "PROVIDERS": {
            name: {
                "BACKEND": path,
                "FALLBACK": fallback,
                "OPTIONS": {"script": Script(steps=[ProviderBusy("no") if name == "broken" else name])},
            }
            for name, fallback in fallbacks.items()
        },
    }


# A schema.


def test_a_second_answer_takes_the_place_of_the_first_in_the_conversation(user: Any) -> None:
    with in_turn(["In Riga.", USAGE], ['{"city": "Riga"}', USAGE]) as provider:
        answer = chat.invoke("Where?", user=user, schema=CITY)
    assert answer.value == {"city": "Riga"}
    thread = only_thread()
    assert answer.thread == thread.uuid.hex
    current = thread.messages.filter(is_current=True).order_by("sequence_index")
    assert list(current.values_list("text", flat=True)) == ["Where?", '{"city": "Riga"}']
    assert Message.objects.filter(text="In Riga.").exists()
    assert [message.role for message in provider.prompts[1].messages] == ["system", "user"]


def test_a_schema_is_asked_for_within_a_conversation(user: Any) -> None:
    thread = thread_of(user, "One?", "1.")
    with in_turn("In Riga.", '{"city": "Riga"}') as provider:
        chat.invoke("Where?", user=user, thread=thread.uuid, schema=CITY)
    assert [message.text for message in provider.prompts[1].messages[1:3]] == ["One?", "1."]
    assert thread.messages.filter(is_current=True).count() == 4


def test_both_questions_are_charged(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "USER_TOKENS_DAILY": 10_000}
    with in_turn(["In Riga.", USAGE], ["In Riga.", USAGE]), pytest.raises(InvalidAnswer):
        chat.invoke("Where?", user=user, schema=CITY)
    settled()
    assert Budget.objects.get(user=user).daily_tokens == 24
    assert Turn.objects.filter(purpose="answer").count() == 2


def test_a_schema_counts_in_the_budget_before_it_is_sent(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "USER_TOKENS_DAILY": 300}
    large = {**CITY, "description": "x" * 1000}
    with scripted("Hello") as provider, pytest.raises(BudgetExhausted):
        chat.invoke("Where?", user=user, schema=large)
    assert not provider.prompts


def test_a_correction_counts_in_the_budget_before_it_is_sent(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False, "USER_TOKENS_DAILY": 2500}
    with in_turn(["x" * 5000, USAGE]) as provider, pytest.raises(BudgetExhausted):
        chat.invoke("Where?", user=user, schema=CITY)
    assert len(provider.prompts) == 1


def test_a_second_question_offers_no_tools(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {
        "STORAGE": True,
        "TOOLS": {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}},
    }
    with in_turn("In Riga.", '{"city": "Riga"}') as provider:
        chat.invoke("Where?", user=user, schema=CITY)
    assert ["ask_user" in [tool.name for tool in prompt.tools] for prompt in provider.prompts] == [True, False]


# Clients.

FIELDS = {
    "schema": CITY,
    "system": "Obey.",
    "messages": [*SAID],
    "max_output_tokens": 1,
    "model": "fast",
    "options": {"system": "Obey."},
}


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_clients_reach_none_of_it(call: Any, operation: str) -> None:
    with scripted("Hello") as provider:
        reply = getattr(call, operation)({"input": "Hi", **FIELDS})
    assert reply.status == 200
    prompt = provider.prompts[0]
    assert [(message.role, message.text) for message in prompt.messages] == [("system", "Be kind."), ("user", "Hi")]
    assert (prompt.max_output_tokens, prompt.answer_schema, prompt.metadata) == (None, None, {})
