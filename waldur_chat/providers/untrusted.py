"""Takes what a service sent for no more than it is, whatever it sent."""

from __future__ import annotations

import json
import re
from typing import Any

from waldur_chat.errors import ProviderFailed
from waldur_chat.events import Usage

MAX_TOKENS = 2**31 - 1
"""No model counts that far, and every database and client can hold it."""

_WORD_LENGTH = 60
_UNFIT = re.compile(r"[^ -~]")


def parse(data: bytes) -> Any:
    """The value of a JSON text. Raises `ProviderFailed` for what is none, or is nested too deeply to be read."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("The stream holds an event that is not JSON.") from error


def mapping(value: object) -> dict[str, Any]:
    """The value that was read, if it is an object; an empty one if not."""
    return value if isinstance(value, dict) else {}


def usage(read: object, written: object) -> Usage | None:
    """The reported tokens, if both are counts; a bool is an `int` too, and the value of a service may be anything."""
    if type(read) is int and type(written) is int and 0 <= read <= MAX_TOKENS and 0 <= written <= MAX_TOKENS:
        return Usage(input_tokens=read, output_tokens=written)
    return None


def word(value: object) -> str:
    """A word or a number of the service's own, fit for any log; empty for what is neither."""
    text = str(value) if type(value) in (str, int) else ""
    return _UNFIT.sub("?", text[:_WORD_LENGTH])
