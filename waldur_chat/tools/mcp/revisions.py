"""The revisions of MCP that are spoken here, and what was negotiated with each server.

2026-07-28 has no session: every request says all in `params._meta` and in headers. Before it there was a handshake,
after which a server may give a session id.
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from waldur_chat import __version__
from waldur_chat.runtime.forked import PerProcess

STATELESS = "2026-07-28"
HANDSHAKES = ("2025-11-25", "2025-06-18", "2025-03-26")
CLIENT = {"name": "waldur_chat", "version": __version__}
META = "io.modelcontextprotocol/"

KEPT_SECONDS = 3600.0
"""How long it is remembered what a server speaks."""
MOST_KEPT = 1000
"""Sessions of users with servers that one process remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """The revision that a server speaks, and the session that it has given, which is a secret of its user."""

    revision: str
    session: str = field(default="", repr=False)

    @property
    def is_stateless(self) -> bool:
        """Whether each request stands for itself."""
        return self.revision == STATELESS

    def headers(self, method: str, name: str = "") -> dict[str, str]:
        """The headers of a request."""
        session = {"Mcp-Session-Id": self.session} if self.session else {}
        headers = {"MCP-Protocol-Version": self.revision, **session}
        if not self.is_stateless:
            return headers
        return {**headers, "Mcp-Method": method, **({"Mcp-Name": header_value(name)} if name else {})}

    def params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The params of a request, with what the revision wants of all requests."""
        if not self.is_stateless:
            return dict(params)
        meta = {f"{META}protocolVersion": STATELESS, f"{META}clientInfo": CLIENT, f"{META}clientCapabilities": {}}
        return {**params, "_meta": {**params.get("_meta", {}), **meta}}


MODERN = Negotiated(revision=STATELESS)


def header_value(value: str) -> str:
    """A text as the value of a header; in base64 with marks around it unless it is plain ASCII."""
    is_plain = value.isascii() and value.isprintable() and value == value.strip()
    if is_plain and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{b64encode(value.encode()).decode()}?="


def key_of(url: str, headers: Mapping[str, str]) -> str:
    """The key of a server and of who asks it: nobody gets another one's session. It is a hash, since it is kept."""
    return sha256(repr((url, sorted(headers.items()))).encode()).hexdigest()


class Revisions:
    """What was negotiated, by `key_of()`; the least recently used is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Negotiated]] = OrderedDict()

    def get(self, key: str) -> Negotiated | None:
        """What is remembered, if it is not too old."""
        with self._lock:
            until, negotiated = self._kept.get(key, (0.0, MODERN))
            if until < time.monotonic():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return negotiated

    def put(self, key: str, negotiated: Negotiated) -> None:
        """Remember it."""
        with self._lock:
            self._kept[key] = (time.monotonic() + KEPT_SECONDS, negotiated)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def forget(self, key: str, negotiated: Negotiated) -> None:
        """Forget it, unless another thread has negotiated anew since."""
        with self._lock:
            if self._kept.get(key, (0.0, None))[1] == negotiated:
                del self._kept[key]


revisions_of_process = PerProcess(Revisions)
