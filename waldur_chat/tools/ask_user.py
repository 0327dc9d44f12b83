"""The tool with which a model asks the user by a form. It ends the turn; the answer is the user's next message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.results import ToolResult

MOST_OPTIONS = 20
ASKED = "The user is asked. Their next message is the answer."


def _text(most: int, least: int = 1) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


OPTION = _object(["label"], label=_text(80), description=_text(160, 0), value=_text(160, 0))
QUESTION = _object(
    ["question"],
    question=_text(200, 4),
    header={**_text(40, 0), "description": "What it is about, in a word or two."},
    options={"type": "array", "items": OPTION, "description": "Two to twenty; none for an answer in free text."},
    multiSelect={"type": "boolean"},
    allowFreeText={"type": "boolean"},
)


class AskUser(Tool):
    """Shows the form `ask_user_form`, with the limits of Waldur's own chat."""

    name = "ask_user"
    description = (
        "Ask the user for what is missing, by a form with one to four questions. "
        "Do not ask for what a tool can find out. The answer is the user's next message."
    )
    schema = _object(
        ["questions"],
        questions={"type": "array", "items": QUESTION, "minItems": 1, "maxItems": 4},
        context={**_text(400, 0), "description": "Why you ask."},
    )
    is_safe = True
    trusted = True
    always_offered = True

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """Show the form, with ids of its own."""
        questions = [_question(f"q{number}", one) for number, one in enumerate(arguments["questions"])]
        for question in questions:
            if "options" in question and not 2 <= len(question["options"]) <= MOST_OPTIONS:
                return ToolResult.invalid(f"Give 2 to {MOST_OPTIONS} different options, or none.")
        form = {"questions": questions, "context": arguments.get("context", "")}
        return ToolResult(summary=ASKED, ui_component="ask_user_form", ui_data=form, ends_turn=True)


def _question(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {"header": "", "multiSelect": False, "allowFreeText": True}
    question = {**defaults, **given, "id": key}
    if given.get("options"):
        question["options"] = list(_options(key, given["options"]))
    else:
        question.pop("options", None)
    return question


def _options(key: str, given: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """The options without those whose label was there before, in whatever case."""
    different = {option["label"].casefold(): option for option in reversed(list(given))}
    for number, label in enumerate(dict.fromkeys(option["label"].casefold() for option in given)):
        yield {**different[label], "id": f"{key}o{number}"}
