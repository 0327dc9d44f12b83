"""The host project in this process, for tests of the doctor: no database, one user, short limits."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from waldur_chat.doctor.control_channel import ControlListener
from waldur_chat.doctor.http_client import Address
from waldur_chat.doctor.probes import ProbeClient

LIMITS = {"HEARTBEAT_SECONDS": 0.4, "FIRST_EVENT_SECONDS": 1.0, "SILENCE_SECONDS": 1.2, "TURN_SECONDS": 1.5}
TOKEN = "good"


class Nobody:
    """A user without a table."""

    is_authenticated, is_staff, pk = True, False, 1


class OneToken(BaseAuthentication):
    """Knows one token."""

    def authenticate(self, request: Any) -> tuple[Nobody, None] | None:
        given = get_authorization_header(request).decode()
        if not given:
            return None
        if given != f"Token {TOKEN}":
            raise AuthenticationFailed
        return Nobody(), None

    def authenticate_header(self, request: Any) -> str:
        return "Token"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


class _Server(ThreadedWSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Clients that leave are the point.


def short_limits(settings: Any, **others: Any) -> None:
    """Settings of a site whose limits are met within seconds."""
    settings.WALDUR_CHAT = {**LIMITS, **others}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": [f"{__name__}.OneToken"]}


@contextmanager
def served() -> Iterator[int]:
    """The site with the settings that hold now, and its port."""
    server = _Server(("127.0.0.1", 0), _Quiet)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def probe_client(url: str, token: str = TOKEN) -> Iterator[ProbeClient]:
    """What experiments need."""
    with closing(ControlListener("127.0.0.1", 0)) as listener:
        yield ProbeClient(address=Address(url=url), token=token, listener=listener)


@contextmanager
def saying(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that says this to whoever asks, and the address of the API there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_say, args=[listener, answer, tls], daemon=True).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}/api/chat/"
        listener.shutdown(socket.SHUT_RDWR)


def _say(listener: socket.socket, answer: bytes, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, suppress(OSError):
            connection = tls.wrap_socket(client, server_side=True) if tls else client
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
