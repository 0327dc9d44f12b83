"""Answers as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each event is right for a standards parser and for clients of 2025, which split at line feeds and read `c` from the
JSON of every line that begins with `data: ` (contract section 1). Every stream ends with `end`, `error` or `cancelled`.
"""

from __future__ import annotations

from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started, Usage
from waldur_chat.wire.base import Encoder, dump, usage_fields


class SSEEncoder(Encoder):
    """`text/event-stream`."""

    media_type = "text/event-stream"
    heartbeat = b":\n\n"

    def encode(self, number: int, event: Event) -> bytes:
        """See Encoder.encode()."""
        match event:
            case Delta(text=text):
                return b"id: %d\ndata: %b\n\n" % (number, dump({"c": text}))
            case Reasoning(text=text):
                return _named(number, b"reasoning", {"reasoning": text})
            case Started(turn=turn):
                return _named(number, b"start", {"turn_uuid": turn})
            case Finished(reason=reason, usage=usage):
                return _named(
                    number, b"end", {"c": "", "additional_kwargs": {}, "finish_reason": reason, **_metadata(usage)}
                )
            case Failed(error=error, usage=usage):
                return _named(number, b"error", self._problem(error, usage))
            case Cancelled(usage=usage):
                return _named(number, b"cancelled", self._problem(TurnCancelled(), usage))

    def _problem(self, error: ChatError, usage: Usage | None) -> dict[str, object]:
        words = {"detail": self.sentence(error), "code": error.code, "retryable": error.retryable}
        return {**words, **_metadata(usage)}


def _metadata(usage: Usage | None) -> dict[str, object]:
    return {"additional_kwargs": {"usage_metadata": usage_fields(usage)}} if usage else {}


def _named(number: int, name: bytes, payload: dict[str, object]) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name, dump(payload))
