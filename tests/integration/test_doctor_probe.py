"""A probe of the doctor is answered by the doctor, and by nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any

import pytest
from django.core import signing
from django.core.handlers.asgi import ASGIRequest

from tests.integration.conftest import Caller, Reply
from tests.unit.aio import run
from waldur_chat import conf
from waldur_chat.api.request import doctor_probe
from waldur_chat.asgi.disconnect_listener import cancel_on_disconnect
from waldur_chat.doctor.control_channel import ControlChannel, ControlListener
from waldur_chat.testing import scripted


@pytest.fixture
def listener() -> Iterator[ControlListener]:
    """Where the site connects to."""
    with closing(ControlListener("127.0.0.1", 0)) as listener:
        yield listener


def ask(call: Caller, listener: ControlListener, act: Callable[[ControlChannel], None]) -> tuple[Reply, ControlChannel]:
    """Ask as the doctor does, who acts as soon as the site has connected."""
    channel = listener.open_channel()
    acting = threading.Thread(target=lambda: channel.connected.wait(10) and act(channel))
    acting.start()
    signed = doctor_probe.sign(listener.host, listener.port, channel.nonce)
    with scripted("The site's own provider") as own:
        reply = call.stream(Accept="text/plain", X_Waldur_Chat_Probe=signed)
    acting.join()
    assert own.opened == 0
    return reply, channel


def test_the_doctor_says_what_is_answered(call: Caller, listener: ControlListener) -> None:
    def act(channel: ControlChannel) -> None:
        channel.say("one ")
        channel.say("two")
        channel.end()

    reply, channel = ask(call, listener, act)
    assert (reply.status, reply.body) == (200, b"one two")
    assert channel.facts["interface"] == call.colour
    assert channel.closed.wait(5)


def test_a_doctor_who_hangs_up_has_failed(call: Caller, listener: ControlListener) -> None:
    reply, _ = ask(call, listener, lambda channel: channel.hang_up())
    assert (reply.status, reply.json["code"]) == (502, "provider_unreachable")


def test_a_doctor_who_resets_the_connection_has_failed(call: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

        resetting = threading.Thread(target=reset)
        resetting.start()
        reply = call.stream(X_Waldur_Chat_Probe=doctor_probe.sign(*server.getsockname(), "nonce"))
        resetting.join()
    assert (reply.status, reply.json["code"]) == (502, "provider_unreachable")


def test_a_doctor_who_is_not_there_has_failed(call: Caller) -> None:
    reply = call.stream(X_Waldur_Chat_Probe=doctor_probe.sign("127.0.0.1", 1, "nonce"))
    assert (reply.status, reply.json["code"]) == (502, "provider_unreachable")


@pytest.mark.parametrize("forge", ["nonsense", "another salt", "too old"])
def test_only_the_sites_own_probes_are_taken(call: Caller, monkeypatch: Any, forge: str) -> None:
    signed = {
        "nonsense": lambda: "nonsense",
        "another salt": lambda: signing.dumps({"host": "127.0.0.1", "port": 1, "nonce": ""}),
        "too old": lambda: doctor_probe.sign("127.0.0.1", 1, ""),
    }[forge]()
    if forge == "too old":
        monkeypatch.setattr(doctor_probe, "MAX_AGE_SECONDS", -1)
    with scripted("The site's own provider") as own:
        reply = call.stream(X_Waldur_Chat_Probe=signed)
    assert (reply.status, reply.json["code"], own.opened) == (400, "probe_invalid", 0)


def test_a_probe_needs_a_user_like_every_request(call: Caller) -> None:
    call.token = ""
    assert call.stream(X_Waldur_Chat_Probe=doctor_probe.sign("127.0.0.1", 1, "")).status == 401


def test_a_probe_stops_at_the_switches(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"ENABLED": False}
    assert call.stream(X_Waldur_Chat_Probe=doctor_probe.sign("127.0.0.1", 1, "")).json["code"] == "chat_disabled"


@contextmanager
def connected(listener: ControlListener, hello: bytes) -> Iterator[socket.socket]:
    """Somebody who connects to the doctor and says this."""
    with socket.create_connection((listener.host, listener.port), timeout=10) as connection:
        connection.sendall(hello)
        yield connection


@pytest.mark.parametrize("hello", [b"{}\n", b"nonsense\n", b'{"nonce": "another"}\n'])
def test_the_doctor_does_not_talk_to_strangers(listener: ControlListener, hello: bytes) -> None:
    channel = listener.open_channel()
    with connected(listener, hello) as connection:
        assert connection.recv(1) == b""
    assert not channel.connected.is_set()


def test_a_line_that_was_never_connected_says_nothing() -> None:
    channel = ControlChannel()
    channel.say("nobody hears")
    channel.end()
    channel.hang_up()


def test_the_doctor_listens_on_ipv6_too() -> None:
    with closing(ControlListener("::1", 0)) as listener, connected(listener, b"\n") as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("is_served_by_us", [True, False])
def test_django_4_hears_hangups_where_it_does_not_serve_itself(is_served_by_us: bool, monkeypatch: Any) -> None:
    scope = {"type": "http", "method": "POST", "path": "/api/chat/stream/", "headers": [], "http_version": "1.1"}

    heard: list[object] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        heard.append(doctor_probe._facts(ASGIRequest(scope, BytesIO()), conf.load())["hears_hangups"])

    monkeypatch.setattr("django.VERSION", (4, 2, 16, "final", 0))
    run((cancel_on_disconnect(application) if is_served_by_us else application)(scope, None, None))
    assert heard == [is_served_by_us]
