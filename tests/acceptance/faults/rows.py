"""The table of faults as data: one row each.

Limits are those of `SETTINGS`; who is asked twice may also be left alone for half a second in between.
"""

from __future__ import annotations

from dataclasses import dataclass

SETTINGS = {
    "CONNECT_SECONDS": 0.5,
    "FIRST_EVENT_SECONDS": 2.0,
    "SILENCE_SECONDS": 1.0,
    "TURN_SECONDS": 6.0,
    "HEARTBEAT_SECONDS": 0.5,
    "QUEUE_SECONDS": 1.0,
    "SHUTDOWN_SECONDS": 2.0,
    "ATTEMPTS": 2,
    "TITLES": False,
    "BREAKER_FAILURES": 1_000_000,
}
SHARED_LIMITS = {"TURNS_PER_USER": 100, "TURNS_PER_SITE": 100}
"""What is counted in the database; for the host that uses PostgreSQL."""

UNSTORED = {"STORAGE": False, "ANSWER_MAX_LENGTH": 8_000_000}
"""For the host whose answers are long enough that a write waits for the client.

Elsewhere the limit is the usual one: an endless event, which may be a dozen times as long, must be read to its limit
within `SILENCE_SECONDS`, also on a busy machine.
"""

AT_ONCE, RETRIED, SILENT, FIRST, TURN = 0.0, 0.5, 1.0, 2.0, 6.0

UNREACHABLE = "502 provider_unreachable"
REFUSED = "502 provider_refused"
QUESTION_REFUSED = "422 question_refused"
TOO_LONG = "422 context_exceeded"
EMPTY = "502 provider_empty"
FAILED = "502 provider_failed"
INCOMPLETE = "502 provider_incomplete"
BUSY = "503 provider_busy"
NOT_CONNECTED = "504 provider_connect_timeout"
TOO_SLOW = "504 provider_too_slow"
STALLED = "504 provider_silent"
AWAY = "503 database_unavailable"
WELL = "200"
GONE = "client gone"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault.

    `question` says what is asked (`{...}` are ports of `sites.Site`), `outcome` what an invoke is answered with, and a
    stream too unless it has `begun`: then the code comes in its last event. `limit` is in seconds, `asked` the number
    of requests that the provider sees.

    `answer`, `absent` and `retry_after` are further conditions: the whole text, what no response may contain, and the
    header. `whole` is what an invoke asks instead, where an endless answer will not do. `client` is what the client
    does, `breaks` what else breaks, and `site` which settings the host has.
    """

    name: str
    question: str
    outcome: str
    limit: float
    asked: int = 1
    begun: bool = False
    answer: str = ""
    absent: str = ""
    retry_after: str = ""
    whole: str = ""
    client: str = "stays"
    breaks: str = ""
    site: str = "usual"

    def expected(self, endpoint: str) -> str:
        """What the client gets."""
        return f"200, then {self.outcome.partition(' ')[2]}" if self.begun and endpoint == "stream" else self.outcome


def _once(name: str, behaviour: str, outcome: str, limit: float = AT_ONCE, **further: str | int) -> Row:
    """A fault before the first event that is not retried."""
    return Row(name=name, question=f"fake:{behaviour}", outcome=outcome, limit=limit, **further)


def _twice(name: str, behaviour: str, outcome: str, limit: float = RETRIED, **further: str | int) -> Row:
    """A fault before the first event that is retried, and happens again."""
    return Row(name=name, question=f"fake:{behaviour}", outcome=outcome, limit=limit, asked=2, **further)


def _amid(name: str, behaviour: str, outcome: str, limit: float = AT_ONCE) -> Row:
    """A fault after two tokens of the answer, or wherever the behaviour puts it: never retried."""
    place = "" if "at=" in behaviour else "at=2&"
    return Row(name=name, question=f"fake:{place}{behaviour}", outcome=outcome, limit=limit, begun=True)


def _well(
    name: str, behaviour: str, answer: str = "w0 w1 w2 w3 w4 ", absent: str = "\0", limit: float = AT_ONCE
) -> Row:
    """Something odd that does no harm."""
    question = f"fake:{behaviour}"
    return Row(name=name, question=question, outcome=WELL, limit=limit, answer=answer, absent=absent)


def _at(name: str, address: str, outcome: str, limit: float = RETRIED) -> Row:
    """A fault of the address."""
    return Row(name=name, question=f"at:{address}/v1", outcome=outcome, limit=limit, asked=0)


def _leaving(name: str, client: str, behaviour: str, whole: str = "", site: str = "usual") -> Row:
    """A client that leaves; the limit is the time until the provider's connection is closed."""
    question = f"fake:{behaviour}"
    return Row(name=name, question=question, outcome=GONE, limit=1.0, client=client, whole=whole, site=site)


def _breaking(name: str, breaks: str, outcome: str, behaviour: str = "", site: str = "usual") -> Row:
    """Something of the host's breaks."""
    asked = int(outcome == WELL)
    question = f"fake:{behaviour}"
    return Row(name=name, question=question, outcome=outcome, limit=1.0, breaks=breaks, site=site, asked=asked)


ROWS = [
    _at("connection refused", "http://127.0.0.1:{closed}", UNREACHABLE),
    _at("name that does not resolve", "http://model.invalid", UNREACHABLE),
    _at("TLS spoken to a port without TLS", "https://127.0.0.1:{host}", UNREACHABLE),
    _at("certificate that nobody signed", "https://127.0.0.1:{tls}", UNREACHABLE),
    _at("connecting hangs", "http://127.0.0.1:{full}", NOT_CONNECTED, FIRST),
    _at("accepted, then silence", "http://127.0.0.1:{silent}", TOO_SLOW, FIRST),
    _at("accepted, then silence in place of TLS", "https://127.0.0.1:{silent}", NOT_CONNECTED, FIRST),
    _once("request read, then silence", "at=-1&then=stall", TOO_SLOW, FIRST),
    _once("headers, then silence", "at=0&then=stall", TOO_SLOW, FIRST),
    _once("headers at one byte a second", "at=-1&then=drip", TOO_SLOW, FIRST),
    _once("events at one byte a second", "at=0&then=drip", TOO_SLOW, FIRST),
    _once("nothing but comments", "at=0&say=pings&delay=0.2", TOO_SLOW, FIRST),
    *(_once(f"status {status}", f"status={status}", REFUSED) for status in (401, 403, 404, 409)),
    *(_once(f"status {status}", f"status={status}", QUESTION_REFUSED) for status in (400, 422)),
    _once("status 413", "status=413", TOO_LONG),
    _twice("status 408", "status=408", TOO_SLOW),
    _twice("status 429", "status=429", BUSY),
    _twice("status 429, Retry-After: 1", "status=429&retry_after=1", BUSY, 1.0 + RETRIED, retry_after="1"),
    _once("status 429, Retry-After: 60", "status=429&retry_after=60", BUSY, retry_after="60"),
    _twice("status 500", "status=500", FAILED),
    _twice("status 502", "status=502", FAILED),
    _twice("status 503", "status=503", BUSY),
    _once("status 503, Retry-After: 60", "status=503&retry_after=60", BUSY, retry_after="60"),
    _twice("status 504", "status=504", TOO_SLOW),
    _once("status 301 to elsewhere", "status=301&location=http://127.0.0.1:{fake}/elsewhere", REFUSED),
    _once("status 307 to elsewhere", "status=307&location=http://127.0.0.1:{fake}/elsewhere", REFUSED),
    _twice("status 500 with an endless body", "status=500&body=endless", FAILED),
    _once("status 400 with an endless body", "status=400&body=endless", QUESTION_REFUSED),
    _twice("status 500 with a compressed bomb", "status=500&body=bomb&encoding=gzip", FAILED),
    _once("status 400 with a compressed bomb", "status=400&body=bomb&encoding=gzip", QUESTION_REFUSED),
    _twice("status 204", "status=204", EMPTY),
    _twice("status 200, nothing in it", "body=empty", INCOMPLETE),
    _twice("status 200, HTML in it", "body=html", INCOMPLETE),
    _twice("reset before the headers", "at=-1&then=reset", UNREACHABLE),
    _twice("closed before the headers", "at=-1&then=close", UNREACHABLE),
    _twice("reset after the headers", "at=0&then=reset", UNREACHABLE),
    _twice("closed after the headers", "at=0&then=close", UNREACHABLE),
    _twice("ended after the headers", "at=0&then=end", INCOMPLETE),
    _amid("reset between events", "then=reset", UNREACHABLE),
    _amid("closed between events", "then=close", UNREACHABLE),
    _amid("ended between events", "then=end", INCOMPLETE),
    _amid("reset within an event", "say=half-event&then=reset", UNREACHABLE),
    _amid("closed within an event", "say=half-event&then=close", UNREACHABLE),
    _amid("ended within an event", "say=half-event&then=end", INCOMPLETE),
    _amid("reset within a character", "say=half-character&then=reset", UNREACHABLE),
    _amid("closed within a character", "say=half-character&then=close", UNREACHABLE),
    _amid("ended within a character", "say=half-character&then=end", INCOMPLETE),
    _amid("reset after the last token", "at=5&then=reset", UNREACHABLE),
    _amid("closed after the last token", "at=5&then=close", UNREACHABLE),
    _amid("ended after the last token", "at=5&then=end", INCOMPLETE),
    _well("reset after the finish reason, before [DONE]", "at=6&then=reset"),
    _well("closed after the finish reason, before [DONE]", "at=6&then=close"),
    _well("ended after the finish reason, before [DONE]", "at=6&then=end"),
    _amid("stall in the middle", "then=stall", STALLED, SILENT),
    _well("stall after the finish reason, before [DONE]", "at=6&then=stall", limit=SILENT),
    _amid("stall within an event", "say=half-event&then=stall", STALLED, SILENT),
    _amid("one byte a second from the middle on", "then=drip", STALLED, SILENT),
    _amid("nothing but comments from the middle on", "say=pings&delay=0.2", STALLED, 0.4 + SILENT),
    _amid("token after token, too slowly", "tokens=100&delay=0.5", "504 turn_too_long", TURN),
    _twice("error object as first event", "at=0&say=error", FAILED),
    _amid("error object in the middle", "say=error", FAILED),
    _amid("malformed JSON", "say=malformed", FAILED),
    _amid("JSON that is no object", "say=array", FAILED),
    _amid("JSON nested 100,000 deep", "say=nested", FAILED),
    _amid("invalid UTF-8 in the text", "say=invalid-utf-8", FAILED),
    _amid("endless line", "say=endless-line", FAILED, 1.0),
    _amid("endless event of many lines", "say=endless-event", FAILED, 1.0),
    _amid("endless tokens", "say=endless-tokens", "502 answer_too_long", TURN),
    _twice("endless line, compressed to nothing (a bomb)", "at=0&say=bomb&encoding=gzip", FAILED),
    _twice("compression claimed of a plain answer", "encoding=gzip", FAILED),
    _well("CR, LF, U+2028 and NUL in the text", "text=a%0D%0Ab%E2%80%A8c%00d", "a\r\nb\u2028c\0d"),
    _well("usage below zero", "usage=negative", absent='_tokens":-10'),
    _well("usage that is true", "usage=true", absent='_tokens":true'),
    _well("tool calls that nobody asked for", "at=2&say=tool-calls", absent="delete_everything"),
    _leaving("the client leaves before the first event", "leaves before the first event", "at=0&then=stall"),
    _leaving("the client leaves between events", "leaves between events", "tokens=100&delay=0.3"),
    _leaving(
        "the client leaves during a write",
        "leaves during a write",
        "at=2&say=endless-tokens",
        whole="fake:at=2&say=many-tokens",
        site="unstored",
    ),
    _leaving("the client closes its writing half, and is taken for gone", "half-closes", "tokens=100&delay=0.3"),
    _breaking("the database (SQLite) gone", "database before", "500"),
    _breaking("the database (SQLite) gone within the answer", "database amid", WELL, "delay=0.2"),
    _breaking("the database (PostgreSQL) gone", "database before", AWAY, site="postgresql"),
    _breaking("the database (PostgreSQL) gone within the answer", "database amid", WELL, "delay=0.2", "postgresql"),
    _breaking("the cache gone", "cache before", WELL),
    _breaking("the cache gone within the answer", "cache amid", WELL, "delay=0.2"),
    Row(name="the disk full for logs", question="fake:", outcome=WELL, limit=AT_ONCE, site="full disk"),
    Row(
        name="the disk full for logs, the provider failing",
        question="fake:status=401",
        outcome=REFUSED,
        limit=AT_ONCE,
        site="full disk",
    ),
]

STOPPED = [
    Row(name="the server stopped, the answer ends in time", question="fake:delay=0.15", outcome=WELL, limit=2.0),
    Row(
        name="the server stopped, the answer does not end in time",
        question="fake:tokens=100&delay=0.2",
        outcome="503 server_stopping",
        limit=2.0,
        begun=True,
    ),
]
"""Answers that run when the server is told to stop (SIGTERM)."""
