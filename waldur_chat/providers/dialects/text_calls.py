"""Find calls that a model writes into its text, since its server does not know them: for models that do, by an option.

Read are `{"name": ..., "arguments": {...}}`, alone or several of them, and the same within `<tool_call>` tags, as
https://github.com/Gitlawb/openclaude/issues/433 and https://github.com/ollama/ollama/issues/18357 show them. The answer
must hold nothing else, and all names must be offered: whatever comes after other text may quote somebody.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from waldur_chat.providers.dialects.fragments import Fragment, arguments_text, objects_in
from waldur_chat.providers.dialects.open_call import NO_ARGUMENTS

_TAG = "<tool_call>"
_BEGINNING = re.compile(r"\s*(?:<tool_call>|\{\s*\"name\")")
_UNDECIDED = re.compile(r"\s*(?:\{\s*(?:\"|\"n|\"na|\"nam|\"name)?)?\Z")
_TOLD_NAME = re.compile(r"\s*(?:<tool_call>\s*)?\{\s*\"name\"\s*:\s*\"([^\"\\]*)[\"\\]")
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)\s*", re.DOTALL)
_HEAD_LENGTH = 1000
"""The name of a call stands within so many characters."""
_ARGUMENTS = ("arguments", "parameters", "args")
_FIELDS = {"name", "id", "type", *_ARGUMENTS}


class TextCalls:
    """Holds back the text of an answer that begins as a call does: `feed()` it the pieces, then `take()` the calls.

    `offered` are the names of the tools; text longer than `max_size` characters is no call.
    """

    def __init__(self, offered: Container[str], max_size: int) -> None:
        self._offered = offered
        self._max_size = max_size
        self._held = ""
        self._parts: list[str] = []
        """What follows what is held, once that has begun as a call of a tool that is offered."""
        self._size = 0
        self.is_over = False
        """Whether the answer has begun as a text, so that it need not be fed any more."""

    def feed(self, text: str) -> str:
        """The text that can be told by now."""
        if self.is_over:
            return text
        self._size += len(text)
        if self._parts:
            self._parts.append(text)
        else:
            self._held += text
            if not self._may_be_call():
                return self.release()
            if _TOLD_NAME.match(self._held):
                self._parts.append("")
        return self.release() if self._size > self._max_size else ""

    def take(self) -> list[Fragment]:
        """The calls that are held back, each of them whole; none if it is something else, which stays held."""
        calls = self._calls("".join((self._held, *self._parts)).strip())
        if calls:
            self._held, self._parts, self.is_over = "", [], True
        return calls

    def release(self) -> str:
        """What is held back, which is a text after all."""
        text = "".join((self._held, *self._parts))
        self._held, self._parts, self.is_over = "", [], True
        return text

    def _may_be_call(self) -> bool:
        held = self._held
        if named := _TOLD_NAME.match(held):
            return named[1] in self._offered
        if len(held) > _HEAD_LENGTH:
            return False
        if _BEGINNING.match(held) or _UNDECIDED.match(held):
            return True
        return _TAG.startswith(held.lstrip())

    def _calls(self, text: str) -> list[Fragment]:
        if text.startswith(_TAG):
            blocks = [block.strip() for block in _TAGGED.findall(text)]
            if _TAGGED.sub("", text) or not all(blocks):
                return []
        else:
            blocks = [text]
        objects = [objects_in(block) for block in blocks]
        if not all(objects):
            return []
        calls = [self._call(value) for found in objects for _, value in found]
        return [call for call in calls if call] if all(calls) else []

    def _call(self, value: dict[str, Any]) -> Fragment | None:
        name = value.get("name")
        given = [value[key] for key in _ARGUMENTS if key in value]
        if not (isinstance(name, str) and name in self._offered) or len(given) > 1 or not _FIELDS.issuperset(value):
            return None
        arguments = given[0] if given else None
        if not (arguments is None or isinstance(arguments, (dict, str))):
            return None
        return Fragment(name=name, arguments=arguments_text(arguments) or NO_ARGUMENTS)
