"""Translate a prompt for the chat completions endpoint: messages and calls, tools, the form of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.providers.dialects.call_reader import PromptTools
from waldur_chat.providers.dialects.open_call import NO_ARGUMENTS
from waldur_chat.providers.dialects.texts import REASONING_KEYS


def messages_of(prompt: Prompt) -> list[dict[str, Any]]:
    """The field `messages`."""
    return [_message(message) for message in prompt.messages]


def tools_of(prompt: Prompt) -> dict[str, Any]:
    """The fields `tools` and `tool_choice`, without those that are not needed.

    An empty list of tools is refused by some services (https://github.com/vllm-project/vllm/issues/39780), and so are
    calls in the history without any tools: then these are named, and may not be called.
    """
    tools, choice = prompt.tools, prompt.tool_choice
    if not tools:
        names = dict.fromkeys(call.name for call in _calls(prompt))
        tools, choice = tuple(ToolSpec(name=name) for name in names), "none"
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    return fields if choice == "auto" else {**fields, "tool_choice": choice}


def response_format_of(prompt: Prompt) -> dict[str, Any]:
    """The field `response_format`; empty for an answer in words.

    Not `strict`, which services allow for a part of JSON Schema only: what comes is validated here.
    """
    if prompt.answer_schema is None:
        return {}
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": prompt.answer_schema}}
    }


def prompt_tools(prompt: Prompt, *, in_text: bool) -> PromptTools | None:
    """What the model may call; None if nothing."""
    if not prompt.tools or prompt.tool_choice == "none":
        return None
    names = frozenset(tool.name for tool in prompt.tools)
    return PromptTools(names=names, taken=frozenset(call.id for call in _calls(prompt)), in_text=in_text)


def _calls(prompt: Prompt) -> Iterator[Call]:
    return (call for message in prompt.messages for call in message.calls)


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    # Only with calls: elsewhere DeepSeek refuses its own thoughts (https://api-docs.deepseek.com/guides/thinking_mode).
    thoughts = {message.reasoning_key: message.reasoning} if message.reasoning_key in REASONING_KEYS else {}
    calls = [_call(call) for call in message.calls]
    return {"role": "assistant", "content": message.text or None, **thoughts, "tool_calls": calls}


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _valid(call.arguments)}
    return {**call.extra, "id": call.id, "type": "function", "function": function}


def _valid(arguments: str) -> str:
    """The arguments if they are an object, else an empty one: templates parse them, and fail for anything else."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else NO_ARGUMENTS
    except (ValueError, RecursionError):
        return NO_ARGUMENTS


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
    }
