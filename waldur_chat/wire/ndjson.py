"""The encoder of newline-delimited JSON, which Waldur's clients from 7.9.7 on read (contract section 2).

One compact object per line; the last line ends with a line feed too. The first and the last line have metadata (`m`).
A warning (`w`) follows the first. Between them is the text in blocks, markdown as it arrives and code complete, and
calls of tools with their results. A failed or cancelled answer has an error (`e`) before the last line, at which
readers stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    Reasoning,
    Started,
    ToolAnswered,
    ToolCalled,
    Warned,
    answer_status,
)
from waldur_chat.wire.base import Encoder, call_fields, dump, result_fields, stored_fields, usage_fields
from waldur_chat.wire.blocks import Announced, BlockParser, Markdown, Piece, Whole


class NDJSONEncoder(Encoder):
    """`application/x-ndjson`."""

    media_type = "application/x-ndjson"
    keep_alive = b"\n"

    def __init__(self, translate: Callable[[str], str] = str, notice: str = "") -> None:
        super().__init__(translate, notice)
        self._blocks = BlockParser()

    def skip(self, text: str) -> None:
        self._blocks.feed(text)

    def encode(self, position: int, event: Event) -> bytes:
        match event:
            case Delta(text=text):
                return _lines(self._blocks.feed(text))
            case Reasoning():
                return b""
            case Started(turn=turn, thread=thread):
                ids = {"thread_uuid": thread, "turn_uuid": turn} if thread else {"turn_uuid": turn}
                return _meta({**ids, **self.marking()})
            case Warned():
                return _line({"w": self.warning(event)})
            case ToolCalled():
                return _line({"k": "tool_call", **call_fields(event)})
            case ToolAnswered():
                return _line({"k": "tool_result", **result_fields(event)}) + _shown(event)
            case Finished(reason=reason, usage=usage, stored=stored):
                status = answer_status(event)
                end = {**stored_fields(stored), "status": status, "finish_reason": reason, **usage_fields(usage)}
                return _lines(self._blocks.finish()) + _meta(end)
            case Failed(error=error):
                return self._problem(error, event)
            case Cancelled():
                return self._problem(TurnCancelled(), event)

    def _problem(self, error: ChatError, end: Failed | Cancelled) -> bytes:
        words = _line({"e": self.sentence(error), "code": error.code, **usage_fields(end.usage)})
        last = _meta({**stored_fields(end.stored), "status": answer_status(end)})
        return _lines(self._blocks.finish()) + words + last


def _lines(pieces: Iterable[Piece]) -> bytes:
    return b"".join(_line(_block(piece)) for piece in pieces)


def _block(piece: Piece) -> dict[str, object]:
    match piece:
        case Markdown(text=text):
            return {"k": "markdown", "c": text}
        case Announced(key=key):
            return {"k": "load", "t": key}
        case Whole(key="mermaid", text=text):
            return {"k": "mermaid", "c": text}
        case Whole(tag=tag, text=text):
            return {"k": "code", "t": tag, "c": text}


def _shown(answered: ToolAnswered) -> bytes:
    """A line for what a page shows of a result, as Waldur's own chat sends it."""
    if not answered.block:
        return b""
    fields = {name: value for name, value in answered.block.items() if name != "key"}
    return _line({"k": answered.block["key"], **fields})


def _meta(fields: Mapping[str, object]) -> bytes:
    return _line({"m": fields})


def _line(payload: Mapping[str, object]) -> bytes:
    return dump(payload) + b"\n"
