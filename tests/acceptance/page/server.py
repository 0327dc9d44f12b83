"""A server of one chat page: Django gives page and files, the stream answers what a test has written down."""

from __future__ import annotations

import json
import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.test import Client


class Step(Enum):
    WAIT = "until the test says go() or the browser hangs up"
    BREAK = "the connection, without its proper end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    body: tuple[bytes | Step, ...]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the stream received."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def input(self) -> str:
        return str(self.body["input"])


START = b'id: 1\nevent: start\ndata: {"turn_uuid":"%032d"}\n\n' % 7
END = (
    b'event: end\ndata: {"c":"","finish_reason":"stop","additional_kwargs":'
    b'{"usage_metadata":{"input_tokens":3,"output_tokens":9}}}\n\n'
)


def event(name: str, **payload: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(payload)}\n\n".encode()


def delta(text: str) -> bytes:
    return f"data: {json.dumps({'c': text}, ensure_ascii=False)}\n\n".encode()


def words(*pieces: bytes | Step | str) -> Answer:
    """An answer of a few pieces; text becomes deltas. Its end must be given, so that a test can leave it out."""
    return Answer(body=(START, *(delta(piece) if isinstance(piece, str) else piece for piece in pieces)))


def refusal(status: int, body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body=(content,), headers={"Content-Type": kind, **named})


class PageServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: deque[Answer] = deque()
        self.asked: list[Asked] = []
        self.hung_up = threading.Event()
        self._go = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def go(self) -> None:
        """Let one WAIT end."""
        self._go.release()

    def wait(self, handler: Handler) -> bool:
        """Whether to go on; not if the browser hung up."""
        while not self._go.acquire(timeout=0.02):
            readable, _, _ = select.select([handler.connection], [], [], 0)
            if readable and not handler.connection.recv(1):
                self.hung_up.set()
                return False
        return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PageServer

    def do_GET(self) -> None:
        response = Client().get(self.path)
        content = b"".join(response) if response.streaming else response.content
        self.send_response(response.status_code)
        for name, value in response.items():
            if name != "Content-Length":
                self.send_header(name, value)
        for cookie in response.cookies.values():
            self.send_header("Set-Cookie", cookie.OutputString())
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(Asked(headers={k.lower(): v for k, v in self.headers.items()}, body=body))
        answer = self.server.answers.popleft()
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        if all(self._take(step) for step in answer.body):
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _take(self, step: bytes | Step) -> bool:
        if step is Step.WAIT:
            return self.server.wait(self)
        if isinstance(step, bytes):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(step), step))
            self.wfile.flush()
        return step is not Step.BREAK

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def running() -> Iterator[PageServer]:
    server = PageServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
