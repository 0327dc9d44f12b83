"""What every experiment works with: probes of one address, and what the site tells of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from waldur_chat.api.request import doctor_probe
from waldur_chat.doctor.control_channel import Line, Listener
from waldur_chat.doctor.http_client import Address, Call

PATIENCE_SECONDS = 3.0
"""What takes longer than this, although it needs no time, does not come."""
CONNECT_PATIENCE_SECONDS = 15.0
"""How long a request may take to get to the provider, which may have to wait for a worker."""
APPLICATION_SERVERS = ("uvicorn", "gunicorn", "daphne", "hypercorn", "granian", "waitress", "WSGIServer")
"""How servers of applications name themselves; where one of these answers, there is no proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the site says of itself when a probe reaches it, and `server`, which the client sees."""

    interface: str
    protocol: str
    hears_hangups: bool
    body_max_bytes: int | None
    heartbeat_seconds: float
    first_event_seconds: float
    silence_seconds: float
    turn_seconds: float
    input_max_length: int
    stream_format: str
    turns_per_user: int | None
    turns_per_process: int | None
    turns_per_site: int | None
    server: str = ""

    @property
    def is_direct(self) -> bool:
        """Whether the application's own server answers, with no proxy before it."""
        return self.server.startswith(APPLICATION_SERVERS)

    @property
    def patience(self) -> float:
        """Seconds after which what needs no time does not come; the site's own limits must not be met before."""
        return min(PATIENCE_SECONDS, self.silence_seconds / 2, self.first_event_seconds / 2)

    @property
    def most_streams(self) -> int:
        """How many streams the settings let one user have at once."""
        limits = (self.turns_per_user, self.turns_per_process, self.turns_per_site)
        return min([limit for limit in limits if limit is not None], default=1000)


class NotReached(Exception):
    """A request did not get to the provider, although one did before."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.status)
        self.call = call


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request, seen from both ends."""

    line: Line
    call: Call

    def connects(self, seconds: float = CONNECT_PATIENCE_SECONDS) -> bool:
        """Whether the request gets to the provider; does not wait longer than for an answer that comes before."""
        waited = 0.0
        while not self.line.connected.wait(0.05) and not self.call.done and waited < seconds:
            waited += 0.05
        return self.line.connected.is_set()

    def passes(self, text: str, seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether the client gets this text in time, after the provider has said it."""
        self.line.say(text)
        return self.call.wait_for(text, seconds)

    def finishes(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether the answer comes to its own end: in an SSE stream, the event that says so."""
        self.line.end()
        self.call.wait(seconds)
        return self.call.status == 200 and b"event: end" in self.call.received

    def facts(self) -> Facts:
        """What the site told, once the answer has begun."""
        known = {one.name for one in fields(Facts)}
        told = {name: value for name, value in self.line.facts.items() if name in known}
        return Facts(**{**told, "server": self.call.server})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One address, a token for it, and the listener that its site is told of."""

    address: Address
    token: str
    listener: Listener

    @property
    def url(self) -> str:
        """The URL of streams."""
        parts = urlsplit(self.address.url)
        return f"{parts.scheme}://{parts.netloc}{self.address.path('stream')}"

    @contextmanager
    def probe(
        self,
        operation: str = "stream",
        *,
        body: Any = None,
        query: str = "",
        accept: str = "text/event-stream",
        encodings: str = "identity",
    ) -> Iterator[Probe]:
        """Ask; leaving ends both ends. The body is a question unless one is given."""
        line = self.listener.line()
        headers = {
            **self.address.headers,
            doctor_probe.HEADER: doctor_probe.sign(self.listener.host, self.listener.port, line.nonce),
            "Authorization": self.token if " " in self.token else f"Token {self.token}",
            "Content-Type": "application/json",
            "Accept": accept,
            "Accept-Encoding": encodings,
            "Connection": "close",
        }
        content = json.dumps({"input": "Hello"} if body is None else body).encode()
        call = Call(self.address, self.address.path(operation) + query, content, headers)
        try:
            yield Probe(line=line, call=call)
        finally:
            line.end()
            call.leave()
            line.hang_up()

    @contextmanager
    def reached(
        self, operation: str = "stream", *, accept: str = "text/event-stream", encodings: str = "identity"
    ) -> Iterator[Probe]:
        """See probe(); once it has got to the provider. Raises `NotReached`."""
        with self.probe(operation, accept=accept, encodings=encodings) as probe:
            if not doctor_probe.connects():
                raise NotReached(doctor_probe.call)
            yield probe
