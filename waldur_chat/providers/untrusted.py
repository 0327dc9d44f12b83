"""Read values that a service sent, which may be of any type and size."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from waldur_chat.errors import ProviderFailed
from waldur_chat.events import Usage

MAX_TOKENS = 2**31 - 1
"""No model generates that many, and every database and client can represent it."""

_WORD_LENGTH = 60
_UNFIT = re.compile(r"[^ -~]")


def parse(data: bytes) -> Any:
    """Parse JSON. Raises `ProviderFailed` if it is invalid, or nested too deeply."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("The stream holds an event that is not JSON.") from error


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def usage(input_tokens: object, output_tokens: object, total_tokens: object = None) -> Usage | None:
    """The reported tokens, if both are plausible counts and not both zero; else None.

    Some services count hidden thoughts in the total only (https://docs.x.ai/docs/guides/reasoning), so the output is at
    least the total without the input.
    """
    if not (_is_count(input_tokens) and _is_count(output_tokens) and (input_tokens or output_tokens)):
        return None
    if input_tokens and _is_count(total_tokens):
        output_tokens = max(output_tokens, total_tokens - input_tokens)
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens)


def _is_count(value: object) -> TypeGuard[int]:
    # Not isinstance(): True is an int as well.
    return type(value) is int and 0 <= value <= MAX_TOKENS


def word(value: object) -> str:
    """A string or number of the service, shortened and safe to log; empty for any other type."""
    text = str(value) if type(value) in (str, int) else ""
    return _UNFIT.sub("?", text[:_WORD_LENGTH])
