"""The encoder of plain text: only the answer, for people with curl."""

from __future__ import annotations

from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import APPROVAL_NEEDED, WAITING, Cancelled, Delta, Event, Failed, Finished, ToolAnswered
from waldur_chat.wire.base import Encoder
from waldur_chat.wire.forms import form_text


class TextEncoder(Encoder):
    """`text/plain`. A failure is a line at the end, since the status is 200 already; so is what the user has to do.

    Of calls of tools it has only the questions of a form.
    """

    media_type = "text/plain"

    def encode(self, position: int, event: Event) -> bytes:
        match event:
            case Delta(text=text):
                return text.encode()
            case ToolAnswered():
                form = form_text(event)
                return f"\n\n{form}\n".encode() if form else b""
            case Finished(reason=reason) if reason == WAITING:
                return f"\n{self._translate(APPROVAL_NEEDED)}\n".encode()
            case Failed(error=error):
                return self._last_line(error)
            case Cancelled():
                return self._last_line(TurnCancelled())
            case _:
                return b""

    def _last_line(self, error: ChatError) -> bytes:
        return f"\n[{error.code}] {self.sentence(error)}\n".encode()
