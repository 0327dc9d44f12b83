"""A server of one chat page: Django gives page and files, the stream answers what a test has written down."""

from __future__ import annotations

import json
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.test import Client

from tests.acceptance.page.answers import Answer, Asked, Step
from tests.acceptance.page.keeping import PREFIX, Keeping


class PageServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: deque[Answer] = deque()
        self.asked: list[Asked] = []
        self.rests: deque[Answer] = deque()
        self.rejoined: list[Asked] = []
        self.kept = Keeping()
        self.hung_up = threading.Event()
        self._go = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def rest(self, *answers: Answer) -> None:
        """What those get who come back to a turn; when nothing is left, the connection breaks."""
        self.rests.extend(answers)

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
        if self.path.startswith(f"{PREFIX}-"):
            return self._keep()
        if self.path.startswith(f"{PREFIX}/turns/"):
            self.server.rejoined.append(Asked(headers=self._names(), body={"path": self.path}))
            return self._stream(self.server.rests.popleft() if self.server.rests else Answer(body=(Step.BREAK,)))
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
        return None

    def do_POST(self) -> None:
        if self.path.startswith(f"{PREFIX}-"):
            return self._keep()
        asked = Asked(headers=self._names(), body=self._body())
        self.server.asked.append(asked)
        answer = self.server.answers.popleft()
        if self.path.startswith(PREFIX):
            answer = self.server.kept.answer(asked, answer)
        return self._stream(answer)

    def _names(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _stream(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        if all(self._take(step) for step in answer.body):
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _keep(self) -> None:
        answer = self.server.kept.call(self.command, self.path, self._body())
        content = b"".join(step for step in answer.body if isinstance(step, bytes))
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_PATCH(self) -> None:
        self._keep()

    def do_DELETE(self) -> None:
        self._keep()

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

    def _take(self, step: bytes | Step | Callable[[], bytes]) -> bool:
        if step is Step.WAIT:
            return self.server.wait(self)
        if callable(step):
            step = step()
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
