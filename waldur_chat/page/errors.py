"""What the API says with each error, for the page: of a stored answer it gets the code, not the sentence."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from waldur_chat.errors import ChatError


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorText:
    """The sentence of an error in the active language, and whether the same question may be answered later."""

    code: str
    sentence: str
    is_retryable: bool


def error_texts() -> list[ErrorText]:
    """All errors by which turns may end, also those of a site's own providers, each code once."""
    kinds: dict[str, type[ChatError]] = {}
    tree: list[type[ChatError]] = [ChatError]
    for kind in tree:
        kinds.setdefault(kind.code, kind)
        tree += kind.__subclasses__()
    return [
        ErrorText(code=code, sentence=gettext(kind.sentence), is_retryable=kind.retryable)
        for code, kind in sorted(kinds.items())
    ]
