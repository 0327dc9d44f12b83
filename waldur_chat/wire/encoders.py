"""The formats a stream can have, by name and by media type. A new format is a file beside this one and a line here."""

from __future__ import annotations

from waldur_chat.wire.base import Encoder
from waldur_chat.wire.ndjson import NDJSONEncoder
from waldur_chat.wire.sse import SSEEncoder
from waldur_chat.wire.text import TextEncoder

# In the order of preference, which is also the order in the OpenAPI document.
ENCODERS: dict[str, type[Encoder]] = {"sse": SSEEncoder, "ndjson": NDJSONEncoder, "text": TextEncoder}
