"""The formats of a stream by name. A new format is a module beside this one and an entry here."""

from __future__ import annotations

from waldur_chat.wire.base import Encoder
from waldur_chat.wire.ndjson import NDJSONEncoder
from waldur_chat.wire.sse import SSEEncoder
from waldur_chat.wire.text import TextEncoder

# In the order of preference, which is also that of the OpenAPI document.
ENCODERS: dict[str, type[Encoder]] = {"sse": SSEEncoder, "ndjson": NDJSONEncoder, "text": TextEncoder}
