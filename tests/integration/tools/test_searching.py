"""A user with sixty tools: their model searches, and each request has what it has found, and no more."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.fake.service import Service
from tests.integration.counting import counted
from tests.integration.tools.answering import call, unframed
from tests.integration.turning import ask
from waldur_chat.events import Event, Finished, Started, ToolAnswered, ToolCalled
from waldur_chat.messages import Decision, Prompt
from waldur_chat.models import ToolCall, Turn
from waldur_chat.tools import tool
from waldur_chat.turns.tools.selection import ToolSelection

pytestmark = pytest.mark.django_db(transaction=True)

CITIES = ("tartu", "narva", "viljandi", "tallinn", "rakvere")


@tool(safe=True, trusted=True)
def weather(query: str) -> str:
    """Tells the weather of a place."""
    return f"Sunny, {query}."


@tool
def order(place: str) -> str:
    """Orders rain."""
    return f"It rains in {place}."


NUMBERED = {f"weather_{number}": {"BACKEND": f"{__name__}.weather"} for number in range(53)}
TOOLS = {
    "ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"},
    **NUMBERED,
    **{f"weather_{city}": {"BACKEND": f"{__name__}.weather", "DESCRIPTION": f"The sky of {city}."} for city in CITIES},
    "order_rain": {"BACKEND": f"{__name__}.order"},
}
ALWAYS = ["search_tools", "ask_user"]


def names(prompt: Prompt) -> list[str]:
    return [one.name for one in prompt.tools]


def thread_of(events: list[Event]) -> UUID:
    assert isinstance(events[0], Started)
    return UUID(events[0].thread)


def search(number: int, query: str) -> Any:
    return call(number, "search_tools", json.dumps({"query": query}))


def outcomes(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.tool, event.outcome) for event in events if isinstance(event, ToolAnswered)]


def told(prompt: Prompt) -> list[str]:
    return [unframed(message.text) for message in prompt.messages if message.role == "tool"]


def test_a_set_within_the_limit_is_offered_whole(user: Any, model: Any) -> None:
    said = model(["Hi."], TOOLS=TOOLS, TOOLS_OFFERED=60)
    ask(user, "Hi")
    assert names(said.prompts[0]) == list(TOOLS)


def test_what_is_found_is_offered_from_the_next_round_on(user: Any, model: Any) -> None:
    found = call(2, "weather_narva", '{"query": "now"}')
    said = model([search(1, "sky of Narva")], [found], ["Sunny."], TOOLS=TOOLS)
    events = ask(user, "How is Narva?")
    assert [names(prompt) for prompt in said.prompts] == [
        ALWAYS,
        [*ALWAYS, "weather_narva"],
        [*ALWAYS, "weather_narva"],
    ]
    assert told(said.prompts[2]) == ['{"loaded":["weather_narva"]}', "Sunny, now."]
    assert outcomes(events) == [("search_tools", "done"), ("weather_narva", "done")]


def test_all_names_are_in_the_description(user: Any, model: Any) -> None:
    said = model(["Hi."], TOOLS=TOOLS)
    ask(user, "Hi")
    description = said.prompts[0].tools[0].description
    assert [name for name in TOOLS if name not in description] == ["ask_user"]


def test_a_later_turn_is_offered_what_was_found_in_its_conversation(user: Any, model: Any) -> None:
    said = model([search(1, "weather_narva weather_tartu")], ["Done."], TOOLS=TOOLS)
    thread = thread_of(ask(user, "Hi"))
    ask(user, "And now?", thread=thread)
    assert names(said.prompts[-1]) == [*ALWAYS, "weather_narva", "weather_tartu"]
    ask(user, "Elsewhere?")
    assert names(said.prompts[-1]) == ALWAYS


def test_nobody_elses_conversation_is_looked_at(user: Any, model: Any, django_user_model: Any) -> None:
    model([search(1, "weather_narva")], ["Done."], TOOLS=TOOLS)
    thread = thread_of(ask(user, "Hi"))
    selection = ToolSelection([], 0)
    selection.is_searched = True
    selection.load_of(thread, django_user_model.objects.create(username="bob"))
    assert selection._loaded == []


def test_a_search_that_was_erased_has_found_nothing(user: Any, model: Any) -> None:
    said = model([search(1, "weather_narva")], ["Done."], TOOLS=TOOLS)
    thread = thread_of(ask(user, "Hi"))
    for result in ("", "[]", '{"loaded": 7}', '{"loaded": [7, "gone"]}'):
        ToolCall.objects.update(result=result)
        ask(user, "And now?", thread=thread)
        assert names(said.prompts[-1]) == ALWAYS


def test_a_call_of_a_tool_that_is_not_loaded_runs_and_loads_it(user: Any, model: Any) -> None:
    said = model([call(1, "weather_7", '{"query": "now"}')], ["Sunny."], TOOLS=TOOLS)
    assert outcomes(ask(user, "Hi")) == [("weather_7", "done")]
    assert names(said.prompts[1]) == [*ALWAYS, "weather_7"]


def test_a_call_with_wrong_arguments_loads_the_tool_that_says_so(user: Any, model: Any) -> None:
    said = model([call(1, "weather_7", '{"place": "Narva"}')], ["Sunny."], TOOLS=TOOLS)
    assert outcomes(ask(user, "Hi")) == [("weather_7", "failed")]
    assert names(said.prompts[1]) == [*ALWAYS, "weather_7"]


def test_a_call_of_no_tool_is_told_what_there_is(user: Any, model: Any) -> None:
    said = model([call(1, "no_such")], ["Sorry."], TOOLS=TOOLS)
    ask(user, "Hi")
    assert told(said.prompts[1]) == ["There is no tool of this name. You may call: search_tools, ask_user."]
    assert names(said.prompts[1]) == ALWAYS


def test_a_tool_for_others_can_be_neither_found_nor_called(user: Any, model: Any) -> None:
    tools = {**TOOLS, "weather_secret": {**TOOLS["weather_1"], "ROLES": "staff"}}
    hidden = call(2, "weather_secret", '{"query": ""}')
    said = model([search(1, "weather_secret"), hidden], ["Sorry."], TOOLS=tools)
    assert outcomes(ask(user, "Hi")) == [("search_tools", "done"), ("weather_secret", "failed")]
    assert "weather_secret" not in [*names(said.prompts[1]), said.prompts[0].tools[0].description]


def test_the_earliest_gives_way_where_there_is_no_room(user: Any, model: Any) -> None:
    steps = [[search(1, "weather_1 weather_2")], [search(2, "weather_3 weather_1")], ["Done."]]
    said = model(*steps, TOOLS=TOOLS, TOOLS_OFFERED=4)
    ask(user, "Hi")
    assert names(said.prompts[1]) == [*ALWAYS, "weather_1", "weather_2"]
    assert names(said.prompts[2]) == [*ALWAYS, "weather_2", "weather_3"]


def test_a_limit_of_one_leaves_room_for_one(user: Any, model: Any) -> None:
    said = model([search(1, "weather_1 weather_2")], ["Done."], TOOLS=TOOLS, TOOLS_OFFERED=1)
    ask(user, "Hi")
    assert names(said.prompts[1]) == [*ALWAYS, "weather_1"]


def test_a_search_does_not_taint(user: Any, model: Any) -> None:
    tools = {**TOOLS, "order_rain": {**TOOLS["order_rain"], "APPROVAL": "tainted"}}
    rain = call(2, "order_rain", '{"place": "Narva"}')
    model([search(1, "order_rain")], [rain], ["It rains."], TOOLS=tools)
    events = ask(user, "Hi")
    assert outcomes(events) == [("search_tools", "done"), ("order_rain", "done")]
    assert outcomes(ask(user, "Again", thread=thread_of(events))) == []


def test_an_approved_call_of_a_tool_that_was_found_goes_on_with_it(user: Any, model: Any) -> None:
    rain = call(2, "order_rain", '{"place": "Narva"}')
    said = model([search(1, "order_rain")], [rain], ["It rains."], TOOLS=TOOLS)
    ask(user, "Hi")
    waiting = ToolCall.objects.get(tool="order_rain")
    assert waiting.thread
    decision = Decision(call=waiting.uuid, is_approved=True)
    assert isinstance(ask(user, thread=waiting.thread.uuid, decision=decision)[-1], Finished)
    assert names(said.prompts[-1]) == [*ALWAYS, "order_rain"]
    assert told(said.prompts[-1])[-1] == "It rains in Narva."


def test_what_a_conversation_has_loaded_costs_one_query(user: Any, model: Any) -> None:
    def queries(most: int) -> int:
        model(["Hi."], TOOLS=TOOLS, TOOLS_OFFERED=most)
        thread = thread_of(ask(user, "Hi"))
        with counted() as statements:
            ask(user, "Again", thread=thread)
        return len([one for one in statements if "toolcall" in one.replace("_", "")])

    assert queries(most=10) == queries(most=100) + 1


def test_the_name_is_not_free(settings: Any) -> None:
    from waldur_chat.tools import registry

    settings.WALDUR_CHAT = {"TOOLS": {"search_tools": TOOLS["weather_1"]}}
    (problem,) = registry.examine().problems
    assert (problem.check, "with which a model finds others" in problem.message) == ("E026", True)


@pytest.fixture
def service() -> Iterator[Any]:
    """The fake service on a loop of its own."""
    loop, fake = asyncio.new_event_loop(), Service()
    server = loop.run_until_complete(fake.listen("127.0.0.1"))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", fake.stats
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    if left := asyncio.all_tasks(loop):
        loop.run_until_complete(asyncio.wait(left))
    loop.close()


def test_requests_to_a_service_have_what_they_need_and_no_more(user: Any, settings: Any, service: Any) -> None:
    address, stats = service
    options = {"base_url": address, "api_key": "k", "model": "m"}
    provider = {"BACKEND": "tests.unit.test_rounds_of_a_service.BriefProvider", "OPTIONS": options}
    settings.WALDUR_CHAT = {"TOOLS": TOOLS, "PROVIDERS": {"default": provider}, "TITLES": False}
    arguments = '{"query":"weather_narva"}'
    events = ask(user, f"fake:call=search_tools,weather_narva&arguments={arguments}&rounds=2&text=Sunny.")
    assert [event.tool for event in events if isinstance(event, ToolCalled)] == [
        "search_tools", "search_tools", "weather_narva"
    ]  # fmt: skip
    bodies = [request["body"] for request in stats.requests]
    sent = [[one["function"]["name"] for one in body["tools"]] for body in bodies]
    assert sent == [ALWAYS, [*ALWAYS, "weather_narva"], [*ALWAYS, "weather_narva"]]
    assert len(json.dumps(bodies[0]["tools"])) < 3500
    assert Turn.objects.get().status == "finished"


def test_the_offline_provider_finds_its_tools(user: Any, settings: Any) -> None:
    offline = {"BACKEND": "waldur_chat.providers.offline.OfflineProvider", "OPTIONS": {"delay": 0}}
    settings.WALDUR_CHAT = {"TOOLS": TOOLS, "PROVIDERS": {"default": offline}}
    events = ask(user, "What is the weather in Narva, query: now")
    assert outcomes(events) == [("search_tools", "done"), ("weather_narva", "done")]
