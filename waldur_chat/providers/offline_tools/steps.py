"""What the offline provider understands of a question where tools are offered.

The tool whose words are all in the question is called: `list_projects` by "list my projects". What its schema requires
is taken from the question: "called NAME", "in project NAME", a value of an enumeration. For what is missing the user is
asked by the tool `ask_user`, if that is offered, with the rows of `list_projects` as options for `project`. If no tool
is meant and there is `search_tools`, the words of the question are searched for once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waldur_chat.messages import Message, Prompt, ToolSpec
from waldur_chat.providers.offline_tools.results import rows_of, value_of

ASK, SEARCH = "ask_user", "search_tools"
SYNONYMS = {"show": "list", "new": "create", "machine": "vm"}
MOST_QUESTIONS, MOST_OPTIONS, QUESTION_LENGTH, QUERY_LENGTH = 4, 20, 80, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call, and what is said before it."""

    text: str
    tool: str
    arguments: str


def next_step(prompt: Prompt) -> Step | None:
    """The call that the last message asks for; None if there is none, or its result is there."""
    if prompt.tool_choice == "none" or not prompt.tools or prompt.opens:
        return None
    tools = {tool.name: tool for tool in prompt.tools}
    question = _question(prompt, tools)
    tool, done = _meant(question, tools), _results(prompt)
    if tool is None:
        return _search(question) if SEARCH in tools and SEARCH not in done else None
    arguments = _arguments(question, tool.schema)
    missing = [name for name in tool.schema.get("required", ()) if name not in arguments]
    if tool.name in done:
        return None
    if missing and ASK in tools:
        return _lookup(missing, tools, done) or _form(missing, tool, done)
    return _step(f"I call `{tool.name}`.", tool.name, arguments)


def _question(prompt: Prompt, tools: Mapping[str, ToolSpec]) -> str:
    """The question of the user; behind the one before it as long as they have only filled in a form."""
    texts = [prompt.question]
    has_asked = False
    for message in reversed(prompt.history):
        if message.role == "user":
            if not has_asked or _meant(" ".join(texts), tools):
                break
            texts.insert(0, message.text)
            has_asked = False
        has_asked = has_asked or any(call.name == ASK for call in message.calls)
    return " ".join(texts)


def _meant(question: str, tools: Mapping[str, ToolSpec]) -> ToolSpec | None:
    """The tool with the most words, all of which are in the question."""
    words = set(_words(question))
    others = (tool for tool in tools.values() if tool.name not in (ASK, SEARCH))
    meant = [tool for tool in others if words.issuperset(_words(tool.name))]
    return max(meant, key=lambda tool: len(_words(tool.name)), default=None)


def _words(text: str) -> list[str]:
    """The words in lower case, and without the s of the plural."""
    words = [word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.lower())]
    return [SYNONYMS.get(word, word) for word in words]


def _arguments(question: str, schema: Mapping[str, Any]) -> dict[str, str]:
    """The required arguments that the question names."""
    properties = schema.get("properties", {})
    found = {name: _value(question, name, properties.get(name, {})) for name in schema.get("required", ())}
    return {name: value for name, value in found.items() if value}


def _value(question: str, name: str, schema: Mapping[str, Any]) -> str:
    for option in schema.get("enum", ()):
        if re.search(rf"\b{re.escape(str(option))}\b", question, re.IGNORECASE):
            return str(option)
    if "enum" in schema:
        return ""
    before = r"(?:called|named)" if name == "name" else re.escape(name.replace("_", " "))
    for pattern in (rf'\b{re.escape(name)}: "?([^".\n]+)', rf'\b{before} "([^"]+)"', rf"\b{before} ([\w-]+)"):
        if found := re.search(pattern, question, re.IGNORECASE):
            return found[1].strip()
    return ""


def _results(prompt: Prompt) -> dict[str, Message]:
    """The results since the question, by tool."""
    last = max(at for at, message in enumerate(prompt.messages) if message.role == "user")
    later = prompt.messages[last:]
    names = {call.id: call.name for message in later for call in message.calls}
    return {names[message.call_id]: message for message in later if message.call_id in names}


def _search(question: str) -> Step:
    return _step("Let me see which tool fits.", SEARCH, {"query": question[:QUERY_LENGTH]})


def _lookup(missing: list[str], tools: Mapping[str, ToolSpec], done: Mapping[str, Message]) -> Step | None:
    """A call that lists what may be chosen for a missing argument."""
    for name in missing:
        tool = f"list_{name}s"
        if tool in tools and tool not in done:
            return _step("Let me see what you can choose from.", tool, {})
    return None


def _form(missing: list[str], tool: ToolSpec, done: Mapping[str, Message]) -> Step:
    """A form with a question for each missing argument."""
    properties = tool.schema.get("properties", {})
    questions = [_asked(name, list(_options(name, properties.get(name, {}), done))) for name in missing]
    form = {"questions": questions[:MOST_QUESTIONS], "context": f"This is needed for “{tool.name.replace('_', ' ')}”."}
    return _step("I need to know more.", ASK, form)


def _asked(name: str, options: list[str]) -> dict[str, Any]:
    title = name.replace("_", " ").capitalize()
    question: dict[str, Any] = {"question": f"Which {title.lower()}?", "header": title[:40]}
    if 2 <= len(options) <= MOST_OPTIONS:
        question |= {"options": [{"label": option} for option in options], "allowFreeText": False}
    return question


def _options(name: str, schema: Mapping[str, Any], done: Mapping[str, Message]) -> Iterator[str]:
    yield from map(str, schema.get("enum", ()))
    listed = done.get(f"list_{name}s")
    for row in (rows_of(value_of(listed)) if listed else None) or ():
        if label := str(row.get("name", ""))[:QUESTION_LENGTH]:
            yield label


def _step(text: str, tool: str, arguments: Mapping[str, Any]) -> Step:
    return Step(text=text, tool=tool, arguments=json.dumps(arguments))
