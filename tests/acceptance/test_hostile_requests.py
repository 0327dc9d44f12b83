"""Bytes that no client would send, over raw sockets: no answer is a failure of ours, and the next request works."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.acceptance.streams import eventually, threads
from tests.processes import TOKEN, Running, host

OFFLINE = {"BACKEND": "waldur_chat.providers.offline.OfflineProvider", "OPTIONS": {"delay": 0}}
QUESTION = b'{"input": "Hi"}'
CHUNKED = b"f\r\n" + QUESTION + b"\r\n0\r\n\r\n"
JSON = "Content-Type: application/json"
AUTHORIZATION = f"Authorization: Token {TOKEN}"
UNFINISHED = 12  # fewer than the threads of gunicorn
OURS = 8  # threads that the first request starts, and no other: that of the loop, its helpers', and those that store


def request(
    *headers: str,
    body: bytes = QUESTION,
    length: int | None = None,
    first: str = "POST /api/chat/stream/ HTTP/1.1",
    usual: tuple[str, ...] = ("Host: localhost", AUTHORIZATION, JSON),
) -> bytes:
    """A request. `length` is -1 for none; headers are Latin-1."""
    counted = [] if length == -1 else [f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([first, *usual, *counted, *headers, "", ""]).encode("latin-1") + body


REQUESTS: dict[str, tuple[bytes, set[int]]] = {
    "no request": (b"\x00\xff\r\n\r\n", {400}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "another protocol": (request(first="POST /api/chat/stream/ SMTP/1.1"), {400}),
    "a method that is none": (request(first="post /api/chat/stream/ HTTP/1.1"), {400, 405}),
    "a NUL in the path": (request(first="POST /api/chat/%00/ HTTP/1.1"), {404}),
    "a path that is not UTF-8": (request(first="POST /api/chat/%ff/ HTTP/1.1"), {404}),
    "a very long path": (request(first=f"POST /{'x' * 20_000} HTTP/1.1"), {400, 404, 414, 431}),
    "two tokens": (request(AUTHORIZATION), {400, 401}),
    "a token and a stranger's": (request("Authorization: Token x"), {400, 401}),
    "a token that is not ASCII": (request(usual=("Host: x", "Authorization: Token \xff", JSON)), {401}),
    "two lengths": (request("Content-Length: 15"), {400}),
    "two lengths that differ": (request("Content-Length: 3"), {400}),
    "two lengths in one": (request("Content-Length: 15, 15", length=-1), {400}),
    "a negative length": (request(length=-2), {400}),
    "a length that is no number": (request("Content-Length: \xb2", length=-1), {400}),
    "a length with a sign": (request("Content-Length: +15", length=-1), {400}),
    "a length of many digits": (request("Content-Length: " + "1" * 5000, length=-1), {400, 413}),
    "a chunked body": (request("Transfer-Encoding: chunked", body=CHUNKED, length=-1), {411}),
    "a chunked body with a length": (request("Transfer-Encoding: chunked", body=CHUNKED), {400}),
    "a chunked body of nonsense": (request("Transfer-Encoding: chunked", body=b"zz\r\n\r\n", length=-1), {400, 411}),
    "an unknown coding": (request("Transfer-Encoding: rot13", length=-1), {400, 501}),
    "a compressed body": (request("Content-Encoding: gzip", body=b"\x1f\x8b\x08" + b"\x00" * 100), {400}),
    "two formats": (request("Accept: text/plain", "Accept: application/x-ndjson"), {200}),
    "two formats, none of them ours": (request("Accept: image/png", "Accept: \xff"), {406}),
    "two content types": (request("Content-Type: text/plain"), {400, 415}),
    "a content type that is not ASCII": (request(usual=("Host: x", AUTHORIZATION, "Content-Type: \xff/;=")), {415}),
    "no content type": (request(usual=("Host: x", AUTHORIZATION)), {415}),
    "a very long Accept": (request("Accept: " + "a" * 100_000), {400, 406, 431}),
    "an Accept of many ranges": (request("Accept: " + "a/b;q=nan," * 700 + "*/*;q=-1"), {200}),
    "an id that is not ASCII": (request("X-Request-ID: \xff\xe9"), {200}),
    "a very long id": (request("X-Request-ID: " + "x" * 5000), {200}),
    "a folded id": (request("X-Request-ID: a\r\n X-Evil: b"), {400}),
    "a line feed in an id": (request("X-Request-ID: a\nX-Evil: b"), {200, 400}),
    "a NUL in a header": (request("X-Request-ID: a\x00b"), {400}),
    "a header without a name": (request(": x"), {400}),
    "many headers": (request(*(f"X-{number}: x" for number in range(1000))), {200, 400, 431}),
    "a language that is none": (request("Accept-Language: ../\xff;q=nan," + "de-" * 1000), {200}),
    "cookies that are none": (request('Cookie: sessionid=\xff; csrftoken="\\;;=', usual=("Host: x", JSON)), {401}),
    "a host that is none": (request(usual=("Host: a b/..", AUTHORIZATION, JSON)), {400}),
    "an expectation": (request("Expect: 100-continue"), {100, 200}),
    "an unknown expectation": (request("Expect: tea"), {200, 417}),
    "an upgrade": (request("Upgrade: h2c", "HTTP2-Settings: AAA"), {200}),
    "a body that is too large": (request(body=b'{"input": "' + b"x" * 10_000_000 + b'"}'), {413}),
    "a body that is too large, of a stranger": (request(body=b"x" * 10_000_000, usual=("Host: x", JSON)), {401}),
    "a question that is not UTF-8": (request(body=b'{"input": "\xff"}'), {400}),
    "half a character": (request(body=b'{"input": "\\ud800"}'), {400}),
    "a deep body": (request(body=b"[" * 1_000_000), {400}),
}


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn-gthread"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The host project on a server of each sort."""
    settings = {"PROVIDERS": {"default": OFFLINE}}
    with host(request.param, tmp_path_factory.mktemp("host"), settings=settings) as running:
        yield running


@pytest.fixture(autouse=True)
def the_next_request_works_and_nothing_was_raised(server: Running) -> Iterator[None]:
    yield
    assert statuses(exchange(server, request("Connection: close"))) == [200]
    assert raised(server.log.read_bytes()) == []


def connect(server: Running) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def everything(connection: socket.socket) -> bytes:
    """What arrives until the server closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:  # It has closed without having read everything.
        pass
    return received


def exchange(server: Running, data: bytes, *, half_close: bool = False) -> bytes:
    """What comes back for these bytes; the last request among them, or the half-closing, must end the connection."""
    with connect(server) as connection:
        with suppress(OSError):  # It has answered, and wants no more.
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def raised(log: bytes) -> list[bytes]:
    """The tracebacks in a log, but for what uvicorn says when uvloop finds that it writes after it has closed.

    It does so where bytes follow a request that are none: it closes at once, and lets the application answer.
    """
    tracebacks = re.split(rb"(?=Traceback \(most recent call last\):)", log)[1:]
    return [one for one in tracebacks if b"; the handler is closed" not in one]


def statuses(received: bytes) -> list[int]:
    """The statuses of all responses."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", received)]


@pytest.mark.parametrize("name", REQUESTS)
def test_no_request_breaks_the_server(server: Running, name: str) -> None:
    if "uvicorn" in server.log.name and not find_spec("httptools"):
        pytest.skip("what uvicorn takes for wrong is told of its parser httptools, from the extra `fast`")
    data, allowed = REQUESTS[name]
    answered = statuses(exchange(server, data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)))
    assert answered
    assert answered[0] in allowed


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"\r\n" * 5, b"\x00"]
)
def test_what_is_no_http_is_refused_or_dropped(server: Running, data: bytes) -> None:
    assert statuses(exchange(server, data, half_close=True)) in ([], [400])


def test_requests_in_one_piece_are_answered_one_after_the_other(server: Running) -> None:
    whole = request(first="POST /api/chat/invoke/ HTTP/1.1")
    received = exchange(server, whole + request() + request(body=b"{") + whole + request("Connection: close"))
    assert statuses(received) == [200, 200, 400, 200, 200]
    assert received.count(b"event: end") == 2


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (request(usual=("Host: x", JSON), body=request()), 401),
        (request(first="GET /api/chat/stream/ HTTP/1.1", body=request()), 405),
        (request(first="POST /nowhere/ HTTP/1.1", body=request()), 404),
        (request(usual=("Host: x", AUTHORIZATION, "Content-Type: text/plain"), body=request()), 415),
        (request("Accept: image/png"), 406),
        (
            request(
                "Transfer-Encoding: chunked", length=-1, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(request()), request())
            ),
            411,
        ),
        (request(body=b"x" * 3_000_000), 413),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_a_body_that_nobody_read_is_not_taken_for_the_next_request(
    server: Running, refused: bytes, status: int
) -> None:
    assert statuses(exchange(server, refused + request("Connection: close"))) in ([status, 200], [status])


def test_a_body_longer_than_its_length_is_read_as_far_as_that(server: Running) -> None:
    assert statuses(exchange(server, request(body=QUESTION + b"\r\nnonsense\r\n\r\n", length=len(QUESTION))))[0] in (
        200,
        400,
    )


def test_a_body_shorter_than_its_length_is_refused_or_dropped(server: Running) -> None:
    assert statuses(exchange(server, request(length=500, body=QUESTION[:-3]), half_close=True)) in ([], [400])


def test_a_request_may_come_byte_by_byte(server: Running) -> None:
    with connect(server) as connection:
        for byte in request("Connection: close"):
            connection.sendall(bytes([byte]))
        assert b"event: end" in everything(connection)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_bodies_that_never_end_keep_nobody_out_and_leave_nothing(server: Running, ending: str) -> None:
    before = threads(server)
    connections = [connect(server) for _ in range(UNFINISHED)]
    for connection in connections:
        connection.sendall(request(length=500))
    assert statuses(exchange(server, request("Connection: close"))) == [200]
    for connection in connections:
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert eventually(lambda: threads(server) <= before + 16 + OURS)


def test_requests_that_are_cut_anywhere_leave_nothing(server: Running) -> None:
    whole = request()
    for end in range(0, len(whole), 7):
        exchange(server, whole[:end], half_close=True)


def test_no_line_of_the_log_is_forged(server: Running) -> None:
    exchange(server, request("Connection: close", "X-Request-ID: x\rforged", "X-Other: \x1b[2J"))
    assert "\nforged" not in Path(server.log).read_text().replace("\r", "\n")
