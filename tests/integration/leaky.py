"""A model service that tells everything: whatever it answers, it quotes the whole request."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nX-Echo: ok\r\n\r\n"
OPENAI = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
OPENAI_END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
LANGSERVE = b'event: data\ndata: {"content": "Hello"}\n\n'
LANGSERVE_END = b"event: end\n\n"

RESET, WAIT = b"<reset>", b"<wait>"


def status(code: int, headers: bytes = b"") -> tuple[bytes, ...]:
    """An error whose body and reason quote the request."""
    return (b'HTTP/1.1 %d QUOTE\r\n%bConnection: close\r\n\r\n{"error": {"message": QUOTE}}' % (code, headers),)


ANSWERS: dict[str, tuple[bytes, ...]] = {
    "an-answer": (HEAD, OPENAI, LANGSERVE, OPENAI_END, LANGSERVE_END),
    "400": status(400),
    "401": status(401),
    "302": status(302, b"Location: QUOTED\r\n"),
    "429": status(429, b"Retry-After: QUOTED\r\n"),
    "500": status(500),
    "504": status(504),
    "no-HTTP": (b"QUOTED\r\n\r\n",),
    "a-header-that-is-none": (b"HTTP/1.1 200 OK\r\nQUOTED\r\n\r\n",),
    "compressed": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nQUOTED",),
    "no-stream": (HEAD, b"<html>QUOTED</html>"),
    "no-JSON": (HEAD, b"data: {QUOTED\n\n", b"event: data\ndata: {QUOTED\n\n"),
    "no-object": (HEAD, b"data: QUOTE\n\n"),
    "an-error": (HEAD, b'data: {"error": {"message": QUOTE, "param": QUOTE}}\n\n', b"event: error\ndata: {}\n\n"),
    "an-error-event": (HEAD, b'event: error\ndata: {"status_code": 500, "message": QUOTE}\n\n'),
    "half-an-answer": (HEAD, OPENAI, LANGSERVE),
    "an-answer-then-an-error": (HEAD, OPENAI, LANGSERVE, b'event: error\ndata: {"error": {"message": QUOTE}}\n\n'),
    "an-answer-then-a-reset": (HEAD, OPENAI, LANGSERVE, RESET),
    "an-answer-then-silence": (HEAD, OPENAI, LANGSERVE, WAIT),
    "an-endless-event": (HEAD, OPENAI, LANGSERVE, b"data: QUOTE" * 20_000),
    "a-reset": (RESET,),
    "an-end": (b"",),
    "silence": (WAIT,),
    "a-head-then-silence": (HEAD, WAIT),
}


class _Answer(StreamRequestHandler):
    def handle(self) -> None:
        quoted = self._request().decode("latin-1").replace("\r\n", " ")
        answer = quoted.partition("/answer=")[2].partition("/")[0]
        with suppress(OSError):
            for step in ANSWERS.get(answer, status(400)):
                self._do(step, quoted)

    def _request(self) -> bytes:
        head = b""
        if self.rfile.peek(1)[:1] == b"\x16":  # TLS
            return head
        while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            head += line
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head + self.rfile.read(int(length or 0))

    def _do(self, step: bytes, quoted: str) -> None:
        if step == RESET:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
        elif step == WAIT:
            self.rfile.read(1)
        else:
            plain = quoted.encode("ascii", "replace")
            step = step.replace(b"QUOTED", plain).replace(b"QUOTE", json.dumps(quoted).encode())
            self.wfile.write(step)


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may leave whenever it likes."""


@contextmanager
def leaky_service() -> Iterator[int]:
    """The service, on the port that is given. `/answer=.../` in an address says which one is wanted."""
    with _Server(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
