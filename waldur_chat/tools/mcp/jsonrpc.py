"""Messages of JSON-RPC: requests as bytes, and the one response to a request, from JSON or server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from waldur_chat.errors import ProviderFailed
from waldur_chat.tools.mcp.failures import AnswerBroken, CallRefused
from waldur_chat.tools.mcp.posting import MOST_BYTES, HttpReply
from waldur_chat.wire.sse_decoder import SSEDecoder

WORDS = 500
"""The most characters of an error of the server that the model gets."""

_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcResponse:
    """A response: its result, or its error with a code other than 0."""

    result: Any = None
    code: int = 0
    message: str = ""


def new_id() -> int:
    """The id of a request: unique in this process, since threads share sessions."""
    return next(_numbers)


def encode(method: str, params: Mapping[str, Any], number: int | None = None) -> bytes:
    """A request, or without a number a notification."""
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(message if number is None else {**message, "id": number}).encode()


def read(reply: HttpReply, number: int) -> RpcResponse | None:
    """The response to the request of this number; None if the body is none, as on the pages of a proxy.

    Raises `AnswerBroken`, and `CallRefused` if the server asks back within its answer.
    """
    if reply.media_type == "text/event-stream":
        return _first_response(_events(reply.pieces), number)
    try:
        message = _parse(b"".join(reply.pieces))
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if "result" in message and not _answers(message, number):  # Errors have ids such as "server-error", too.
        raise AnswerBroken("Its answer is to another request.")
    return _response(message)


def _events(pieces: Iterator[bytes]) -> Iterator[Any]:
    decoder = SSEDecoder(MOST_BYTES)
    try:
        for piece in pieces:
            yield from (_parse(event.data) for event in decoder.feed(piece) if event.data)
    except (ProviderFailed, ValueError) as error:
        raise AnswerBroken("Its answer holds an event that is not JSON.") from error


def _first_response(messages: Iterator[Any], number: int) -> RpcResponse:
    """The response among the messages. What the server tells meanwhile, such as its progress, is passed over."""
    for message in messages:
        if not isinstance(message, dict):
            continue
        if "method" in message and "id" in message and message["method"] != "ping":
            raise CallRefused(asked(message))
        if "method" not in message and _answers(message, number):
            return _response(message) or RpcResponse()
    raise AnswerBroken("Its answer ended before its result.")


def _answers(message: Mapping[str, Any], number: int) -> bool:
    """Whether it is for the request of this number, or for one whose number the server could not read."""
    return message.get("id") in (number, str(number), None)


def asked(request: Mapping[str, Any]) -> str:
    """What the server wants of the user or of the model here, in words for the model."""
    params = request.get("params")
    message = params.get("message") if isinstance(params, dict) else None
    if request.get("method") == "elicitation/create" and isinstance(message, str):
        return f"It asks the user for something, which it cannot do here: {text(message)}"
    return f"It wants {text(str(request.get('method')))!r}, which is not supported here."


def text(value: object) -> str:
    """The beginning of a text of the server, on one line and printable; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(one if one.isprintable() else " " for one in value[:WORDS]).split())


def _parse(data: bytes) -> Any:
    """JSON. Raises `ValueError`."""
    try:
        return json.loads(data, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON.")


def _response(message: Mapping[str, Any]) -> RpcResponse | None:
    error = message.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return RpcResponse(code=code if type(code) is int and code else -32603, message=text(error.get("message")))
    return RpcResponse(result=message["result"]) if "result" in message else None
