"""The encoder of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each event is valid for a standard parser and for clients of 2025, which split at line feeds and read `c` from the JSON
of every line that begins with `data: ` (contract section 1). Every stream ends with `end`, `error` or `cancelled`. The
id of an event is the position: the number of characters of the answer that a reader has with it. A reader that resumes
gets again the calls of tools at its position, and drops those that it knows by `call_uuid`.
"""

from __future__ import annotations

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
    Usage,
    Warned,
    answer_status,
)
from waldur_chat.wire.base import (
    Encoder,
    call_fields,
    dump,
    quoted,
    result_fields,
    shown_fields,
    stored_fields,
    usage_fields,
)

END = b"end"
"""The id of the terminal event. A reader with this id has everything."""

RETRY = b"retry: 1000\n"
"""After this many milliseconds a reader reconnects. Sent for stored turns only, since others cannot be resumed."""


class SSEEncoder(Encoder):
    """`text/event-stream`."""

    media_type = "text/event-stream"
    keep_alive = b":\n\n"

    def encode(self, position: int, event: Event) -> bytes:
        match event:
            case Delta(text=text):
                return b'id: %d\ndata: {"c":%b}\n\n' % (position, quoted(text))
            case Reasoning(text=text):
                return _named(b"%d" % position, b"reasoning", {"reasoning": text})
            case Started(turn=turn, thread=thread):
                ids = {"turn_uuid": turn, "thread_uuid": thread}
                fields = {**{name: uuid for name, uuid in ids.items() if uuid}, **self.marking()}
                start = _named(b"%d" % position, b"start", fields)
                return RETRY + start if thread else start
            case Warned(code=code):
                return _named(b"%d" % position, b"warning", {"warning": self.warning(event), "code": code})
            case ToolCalled():
                return _named(b"%d" % position, b"tool_call", call_fields(event))
            case ToolAnswered():
                return _named(b"%d" % position, b"tool_result", {**result_fields(event), **shown_fields(event)})
            case Finished(reason=reason, usage=usage, stored=stored):
                status = answer_status(event)
                whole = {"c": "", "additional_kwargs": {}, "finish_reason": reason, "status": status}
                return _named(END, b"end", {**whole, **_metadata(usage), **stored_fields(stored)})
            case Failed(error=error):
                return _named(END, b"error", self._problem(error, event))
            case Cancelled():
                return _named(END, b"cancelled", self._problem(TurnCancelled(), event))

    def _problem(self, error: ChatError, end: Failed | Cancelled) -> dict[str, object]:
        words = {"detail": self.sentence(error), "code": error.code, "retryable": error.retryable}
        return {**words, "status": answer_status(end), **_metadata(end.usage), **stored_fields(end.stored)}


def _metadata(usage: Usage | None) -> dict[str, object]:
    return {"additional_kwargs": {"usage_metadata": usage_fields(usage)}} if usage else {}


def _named(event_id: bytes, name: bytes, payload: dict[str, object]) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id, name, dump(payload))
