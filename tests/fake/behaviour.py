"""How the fake service behaves: written into the question or the model's name, so that anybody can ask for anything.

The question `fake:tokens=3&delay=0.1` is answered with three tokens, 0.1 s apart; the model `tokens=3&delay=0.1` says
the same for all questions that do not begin with `fake:`. LangServe has no model: there it is the query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl

IN_THE_QUESTION = "fake:"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One answer.

    `head` and `first` are seconds of silence before the status line and before the first token; `usage` is one of
    end, each, negative, true, none and refuse (400 to whoever asks for it); `end` is one of both, done, finish and
    none; `cut` resets the connection after that many tokens; `fault` sends an error object after that many tokens.

    `body` is said in place of the events; the headers claim that `encoding` of it, and name the `location` of a
    redirect.

    `call` names tools, separated by commas: the service calls those that the request offers, all with the `arguments`,
    in so many `rounds` (each after `intro` tokens), before it answers. `tools` and `schema` name how a service refuses
    these that has none, see `tests.fake.refused`; `tools` is return for one that refuses calls of this question which
    come back without the thoughts before them, in the field `reasoning`.

    What is wrong happens after `at` tokens (0: after the headers, -1: before them; one more than there are tokens:
    after the finish reason): the service says `say`, and then does `then`: reset or close the connection, end the
    response, stall, wait (until somebody gets /go), drip (one byte a second from there on); nothing means to go on.
    What can be said, as `body` or `say`, has its name in `tests.fake.sayings`.
    """

    tokens: int = 5
    delay: float = 0.0
    text: str = ""
    reasoning: str = ""
    head: float = 0.0
    first: float = 0.0
    status: int = 200
    retry_after: str = ""
    location: str = ""
    usage: str = "end"
    end: str = "both"
    cut: int = -1
    fault: int = -1
    html: bool = False
    call: str = ""
    arguments: str = "{}"
    rounds: int = 1
    intro: int = 0
    tools: str = ""
    schema: str = ""
    body: str = ""
    encoding: str = ""
    at: int = 0
    say: str = ""
    then: str = ""

    @property
    def pieces(self) -> list[str]:
        """The tokens of the answer."""
        if self.text:
            return [word if not index else f" {word}" for index, word in enumerate(self.text.split(" "))]
        return [f"w{index} " for index in range(self.tokens)]


def parse(text: str) -> Behaviour:
    """The behaviour that a model's name or a query asks for; other names mean the usual one."""
    types = {one.name: {"int": int, "float": float, "bool": bool}.get(str(one.type), str) for one in fields(Behaviour)}
    return Behaviour(**{name: types[name](value) for name, value in parse_qsl(text) if name in types})


def asked(body: Mapping[str, Any]) -> Behaviour:
    """The behaviour that a request asks for: by the user's last message, or else by its model."""
    messages = body.get("messages") or [{}]
    last = max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    question = str(messages[last].get("content")).partition("\n\nResult of the tool")[0]
    is_asked = question.startswith(IN_THE_QUESTION)
    behaviour = parse(question.removeprefix(IN_THE_QUESTION) if is_asked else str(body.get("model")))
    offered = [tool["function"]["name"] for tool in body.get("tools", ()) if body.get("tool_choice") != "none"]
    rounds = sum("tool_calls" in message for message in messages[last:])
    calls = [name for name in behaviour.call.split(",") if name in offered and rounds < behaviour.rounds]
    return replace(behaviour, call=",".join(calls))


def returned(body: Mapping[str, Any], reasoning: str) -> bool:
    """Whether every call of a request that answers its last question bears the thoughts before it."""
    messages = body["messages"]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    return all(message.get(reasoning) for message in messages[last:] if "tool_calls" in message)
