"""The encoder of newline-delimited JSON, which Waldur's clients from 7.9.7 on read (contract section 2).

One compact object per line; the last line ends with a line feed too. The first and the last line have metadata (`m`).
Between them is the text in blocks, markdown as it arrives and code complete. A failed or cancelled answer has an error
(`e`) before the last line, at which readers stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started, StoredMessages, Usage
from waldur_chat.wire.base import Encoder, dump, stored_fields, usage_fields
from waldur_chat.wire.blocks import Announced, BlockParser, Markdown, Piece, Whole


class NDJSONEncoder(Encoder):
    """`application/x-ndjson`."""

    media_type = "application/x-ndjson"
    keep_alive = b"\n"

    def __init__(self, translate: Callable[[str], str] = str) -> None:
        super().__init__(translate)
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
                return _meta({"thread_uuid": thread, "turn_uuid": turn} if thread else {"turn_uuid": turn})
            case Finished(reason=reason, usage=usage, stored=stored):
                end = {**stored_fields(stored), "finish_reason": reason, **usage_fields(usage)}
                return _lines(self._blocks.finish()) + _meta(end)
            case Failed(error=error, usage=usage, stored=stored):
                return self._problem(error, usage, stored)
            case Cancelled(usage=usage, stored=stored):
                return self._problem(TurnCancelled(), usage, stored)

    def _problem(self, error: ChatError, usage: Usage | None, stored: StoredMessages | None) -> bytes:
        words = _line({"e": self.sentence(error), "code": error.code, **usage_fields(usage)})
        ids = stored_fields(stored)
        return _lines(self._blocks.finish()) + words + (_meta(ids) if ids else b"")


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


def _meta(fields: Mapping[str, object]) -> bytes:
    return _line({"m": fields})


def _line(payload: Mapping[str, object]) -> bytes:
    return dump(payload) + b"\n"
