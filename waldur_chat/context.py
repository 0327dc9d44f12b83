"""What a site's `CONTEXT` callable gets and gives: texts that a model gets with a question. Plain Python.

from waldur_chat.context import ContextQuery, ContextText

def handbook(query: ContextQuery) -> list[ContextText]:
return [ContextText(text=page.text, source=page.title) for page in search(query.question)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from waldur_chat.messages import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextQuery:
    """A question for which context is wanted.

    `user` is the one who asks: anonymous, or None for the host's own code. `thread` has 32 hexadecimal digits, empty
    without a conversation. `question` is the user's text, empty if the assistant opens the conversation. `metadata` is
    what the site's own serializer has validated in addition, `language` the user's.
    """

    user: Any
    thread: str = ""
    question: str = field(default="", repr=False)
    purpose: Purpose = "answer"
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    language: str = ""


@dataclass(frozen=True, slots=True)
class ContextText:
    """A text for the model, and where it is from, such as a title or an address.

    `trusted` says that neither holds words of strangers. Otherwise it taints the turn, as a result of a tool does.
    """

    text: str = field(repr=False)
    source: str = ""
    trusted: bool = False
