"""Answers as newline-delimited JSON, as Waldur's clients from 7.9.7 on read them (contract section 2).

One compact object per line, every line ended, the last one too. Metadata (`m`) opens and closes a whole answer; a
failed or stopped one closes with an error (`e`).
"""

from __future__ import annotations

from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started, Usage
from waldur_chat.wire.base import Encoder, dump, usage_fields


class NDJSONEncoder(Encoder):
    """`application/x-ndjson`."""

    media_type = "application/x-ndjson"
    heartbeat = b"\n"

    def encode(self, number: int, event: Event) -> bytes:
        """See Encoder.encode()."""
        match event:
            case Delta(text=text):
                return _line({"k": "markdown", "c": text})
            case Reasoning():
                return b""
            case Started(turn=turn):
                return _line({"m": {"turn_uuid": turn}})
            case Finished(reason=reason, usage=usage):
                return _line({"m": {"finish_reason": reason, **usage_fields(usage)}})
            case Failed(error=error, usage=usage):
                return self._problem(error, usage)
            case Cancelled(usage=usage):
                return self._problem(TurnCancelled(), usage)

    def _problem(self, error: ChatError, usage: Usage | None) -> bytes:
        return _line({"e": self.sentence(error), "code": error.code, **usage_fields(usage)})


def _line(payload: dict[str, object]) -> bytes:
    return dump(payload) + b"\n"
