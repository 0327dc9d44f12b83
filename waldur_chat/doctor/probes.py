"""Probes: requests whose answers the doctor controls, and what the site reports about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from waldur_chat.api.request import doctor_probe
from waldur_chat.doctor.control_channel import ControlChannel, ControlListener
from waldur_chat.doctor.http_client import Address, HttpCall

DELIVERY_SECONDS = 3.0
"""A piece that has not arrived after this time is considered not delivered; delivery itself takes no time."""
PROVIDER_CONNECT_SECONDS = 15.0
"""How long a request may take to reach the probe provider; it may have to wait for a worker."""
APPLICATION_SERVERS = ("uvicorn", "gunicorn", "daphne", "hypercorn", "granian", "waitress", "WSGIServer")
"""Prefixes of the `Server` header of application servers. If one of them answers, there is no proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What the site reports about itself over the control channel, and `server`, the header that the client sees."""

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
        """Whether the application server answers without a proxy in front of it."""
        return self.server.startswith(APPLICATION_SERVERS)

    @property
    def delivery_seconds(self) -> float:
        """How long to wait for a piece; stays below the site's own time limits."""
        return min(DELIVERY_SECONDS, self.silence_seconds / 2, self.first_event_seconds / 2)

    @property
    def max_streams(self) -> int:
        """How many concurrent streams the settings allow one user."""
        limits = (self.turns_per_user, self.turns_per_process, self.turns_per_site)
        return min([limit for limit in limits if limit is not None], default=1000)


class ProbeNotConnected(Exception):
    """A request did not reach the probe provider, although an earlier one did."""

    def __init__(self, call: HttpCall) -> None:
        super().__init__(call.status)
        self.call = call


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request, seen from both ends."""

    channel: ControlChannel
    call: HttpCall

    def wait_connected(self, seconds: float = PROVIDER_CONNECT_SECONDS) -> bool:
        """Wait until the request reaches the probe provider, or until something answers without it."""
        waited = 0.0
        while not self.channel.connected.wait(0.05) and not self.call.done and waited < seconds:
            waited += 0.05
        return self.channel.connected.is_set()

    def delivers(self, text: str, seconds: float = DELIVERY_SECONDS) -> bool:
        """Let the provider send this text; tells whether it arrives at the client in time."""
        self.channel.say(text)
        return self.call.wait_for(text, seconds)

    def completes(self, seconds: float = DELIVERY_SECONDS) -> bool:
        """Let the provider complete the answer; tells whether the client receives the end event of an SSE stream."""
        self.channel.end()
        self.call.wait(seconds)
        return self.call.status == 200 and b"event: end" in self.call.received

    def site_facts(self) -> SiteFacts:
        """What the site reported; call it once the answer has begun."""
        known = {one.name for one in fields(SiteFacts)}
        reported = {name: value for name, value in self.channel.facts.items() if name in known}
        return SiteFacts(**{**reported, "server": self.call.server})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeClient:
    """Sends probes to one address, with a token; the site connects back to `listener`."""

    address: Address
    token: str
    listener: ControlListener

    @property
    def url(self) -> str:
        """The URL of the stream endpoint."""
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
        """Send a probe; leaving the context closes both ends. The default body is a valid question."""
        channel = self.listener.open_channel()
        headers = {
            **self.address.headers,
            doctor_probe.HEADER: doctor_probe.sign(self.listener.host, self.listener.port, channel.nonce),
            "Authorization": self.token if " " in self.token else f"Token {self.token}",
            "Content-Type": "application/json",
            "Accept": accept,
            "Accept-Encoding": encodings,
            "Connection": "close",
        }
        content = json.dumps({"input": "Hello"} if body is None else body).encode()
        call = HttpCall(self.address, self.address.path(operation) + query, content, headers)
        try:
            yield Probe(channel=channel, call=call)
        finally:
            channel.end()
            call.leave()
            channel.hang_up()

    @contextmanager
    def connected_probe(
        self, operation: str = "stream", *, accept: str = "text/event-stream", encodings: str = "identity"
    ) -> Iterator[Probe]:
        """Send a probe, and wait until it has reached the provider. Raises `ProbeNotConnected`."""
        with self.probe(operation, accept=accept, encodings=encodings) as probe:
            if not probe.wait_connected():
                raise ProbeNotConnected(probe.call)
            yield probe
