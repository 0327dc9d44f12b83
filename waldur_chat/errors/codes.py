"""Find the class of an error by its code."""

from __future__ import annotations

from waldur_chat.errors.base import ChatError


def kind_of_code(code: str) -> type[ChatError]:
    """Return the class with this code; `ChatError` if there is none."""
    kinds: list[type[ChatError]] = [ChatError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.code == code), ChatError)


def of_code(code: str) -> ChatError:
    """Return the error of a stored turn, of which only the code was stored."""
    return kind_of_code(code)()
