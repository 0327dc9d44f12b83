"""`manage.py chat_doctor` in this process, before a proxy that meddles. Real ones are in the acceptance tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from rest_framework.authtoken.models import Token

from tests.integration.doctoring import TOKEN, saying, served, short_limits
from tests.integration.meddling import Meddling, proxy
from waldur_chat.api.request import doctor_probe
from waldur_chat.doctor.findings import KINDS

pytestmark = pytest.mark.slow  # The limits of time that it looks for are met in real ones.

Examine = Callable[..., list[str]]


def doctor(*arguments: str) -> tuple[int, str]:
    """Run the command: its exit status, and what it prints."""
    output = StringIO()
    try:
        call_command("chat_doctor", *arguments, stdout=output)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


def ids(*arguments: str) -> list[str]:
    """What the command finds."""
    _, printed = doctor(*arguments, "--token", TOKEN, "--no-model", "--json")
    return [finding["id"] for finding in json.loads(printed)["findings"]]


@pytest.fixture
def behind(settings: Any) -> Iterator[Callable[..., str]]:
    """The address of a site that `short_limits` is told of, behind a proxy that meddles."""
    with ExitStack() as stack:

        def behind(own: dict[str, Any] | None = None, **meddling: Any) -> str:
            short_limits(settings, **(own or {}))
            return stack.enter_context(proxy(stack.enter_context(served()), Meddling(**meddling)))

        yield behind


def named(answer: bytes) -> bytes:
    """An answer of a server that is no application's."""
    return answer.replace(b"Server: WSGIServer", b"Server: proxy", 1)


def framed(answer: bytes) -> bytes:
    """The same, with an end that cannot be taken for a cut (HTTP/1.0 has none)."""
    return named(answer).replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def test_a_sound_site_is_clean(behind: Any) -> None:
    status, printed = doctor(behind(answer=framed), "--token", TOKEN, "--max-silence", "1")
    assert status == 0, printed
    assert "FOUND" not in printed
    assert printed.endswith("Nothing found.\n")


def test_what_is_found_is_printed_with_its_cure(behind: Any) -> None:
    status, printed = doctor(behind(holds_back=True, answer=framed), "--token", TOKEN, "--quick", "--no-model")
    assert status == 1
    assert "FOUND  each piece arrives" in printed
    assert f"Cure: {KINDS['proxy_buffering'].cure}" in printed
    assert "1 found." in printed


def _with(line: bytes) -> Callable[[bytes], bytes]:
    return lambda answer: framed(answer).replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def _without(line: bytes) -> Callable[[bytes], bytes]:
    return lambda message: message.replace(line, b"")


def _limited(request: bytes) -> bytes | None:
    too_large = len(request) > 50_000
    return b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n" if too_large else None


def _reset(request: bytes) -> bytes | None:
    return b"\r\n" if len(request) > 50_000 else None


MEDDLING: list[tuple[str, dict[str, Any]]] = [
    ("proxy_compression", {"answer": lambda answer: framed(answer).replace(b"Encoding: identity", b"Encoding: br")}),
    ("http_1_0", {"answer": framed, "request": lambda request: request.replace(b"HTTP/1.1", b"HTTP/1.0", 1)}),
    ("unframed", {"answer": named}),
    ("proxy_hides_hangups", {"answer": framed, "ignores_hangups": True}),
    ("errors_rewritten", {"answer": lambda answer: framed(answer).replace(b" 502 ", b" 500 ")}),
    ("errors_rewritten", {"answer": lambda answer: framed(answer).replace(b" 400 ", b" 422 ")}),
    ("proxy_body_limit", {"answer": framed, "instead": _limited}),
    ("proxy_body_limit", {"answer": framed, "instead": _reset}),
    ("accept_rewritten", {"answer": framed, "request": _without(b"Accept: application/x-ndjson\r\n")}),
    ("middleware_buffering", {"holds_back": True, "answer": _with(b"Content-Length: 2000")}),
    ("application_error", {"answer": lambda answer: framed(answer).replace(b"200 OK", b"500 No")}),
    ("probe_lost", {"instead": lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}),
]


@pytest.mark.parametrize(("name", "meddling"), MEDDLING)
def test_what_a_proxy_does_is_named(behind: Any, name: str, meddling: dict[str, Any]) -> None:
    assert ids(behind(**meddling), "--quick") == [name]


@pytest.mark.parametrize("limit", ["ends_after", "ends_silence_after"])
def test_a_limit_of_time_is_named(behind: Any, limit: str) -> None:
    name = {"ends_after": "response_time_limit", "ends_silence_after": "idle_limit"}[limit]
    address = behind({"FIRST_EVENT_SECONDS": 4.0, "TURN_SECONDS": 5.0}, answer=framed, **{limit: 1.5})
    assert ids(address, "--max-silence", "2.5") == [name]


def test_a_limit_of_time_that_is_told_in_json_is_named(behind: Any) -> None:
    told = b'HTTP/1.1 504 No\r\nContent-Length: 16\r\n\r\n{"message": "x"}'
    site = {"FIRST_EVENT_SECONDS": 4.0, "TURN_SECONDS": 5.0}
    address = behind(site, answer=framed, ends_silence_after=1.5, last_words=told)
    assert ids(address, "--max-silence", "2.5") == ["idle_limit"]


def test_a_limit_of_requests_is_not_taken_for_another_fault(behind: Any) -> None:
    def limited(request: bytes) -> bytes | None:
        return b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n" if request.endswith(b'{"input": 1}') else None

    assert ids(behind(instead=limited, answer=framed), "--quick") == ["proxy_limits_requests"]


def test_an_answer_from_a_store_is_named(behind: Any) -> None:
    asked: list[bytes] = []

    def stored(request: bytes) -> bytes | None:
        asked.append(request)
        return None if len(asked) == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    assert ids(behind(instead=stored, answer=framed), "--quick") == ["cached"]


def test_an_answer_that_was_stored_before_is_named(behind: Any) -> None:
    def stored(request: bytes) -> bytes | None:
        return None if b"?doctor=" in request else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    assert ids(behind(instead=stored, answer=framed), "--quick") == ["cached"]


def test_a_store_of_some_answers_is_named(behind: Any) -> None:
    def stored(request: bytes) -> bytes | None:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if b"Encoding: gzip" in request else None

    assert ids(behind(instead=stored, answer=framed), "--quick") == ["cached"]


@pytest.mark.parametrize(
    ("answer", "name"),
    [(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "proxy_limits_requests"), (b"", "one_stream_per_worker")],
)
def test_what_keeps_two_streams_from_running_is_named(behind: Any, answer: bytes, name: str) -> None:
    running: list[float] = []

    def one(request: bytes) -> bytes | None:
        """Refuse the seventh request, which is the second of two at once."""
        running.append(0)
        return answer if len(running) == REQUESTS_BEFORE_TWO + 2 else None

    assert ids(behind(instead=one, answer=framed), "--quick") == [name]


REQUESTS_BEFORE_TWO = 8


def test_without_a_proxy_the_application_is_to_blame(settings: Any) -> None:
    short_limits(settings)
    settings.MIDDLEWARE = [f"{__name__}.reads_whole", *settings.MIDDLEWARE]
    with served() as port:
        assert ids(f"http://127.0.0.1:{port}/api/chat/", "--max-silence", "1") == ["middleware_buffering"]


def reads_whole(get_response: Any) -> Any:
    """Middleware that reads streams whole."""

    def middleware(request: Any) -> Any:
        response = get_response(request)
        if response.streaming:
            response.streaming_content = list(response)
        return response

    return middleware


@pytest.mark.parametrize("directly", [True, False])
def test_what_is_there_without_the_proxy_too_is_the_applications(settings: Any, directly: bool) -> None:
    short_limits(settings)
    if directly:
        settings.MIDDLEWARE = [f"{__name__}.reads_whole", *settings.MIDDLEWARE]
    with served() as port, proxy(port, Meddling(answer=framed, holds_back=not directly)) as address:
        found = ids(address, "--quick", "--direct", f"http://127.0.0.1:{port}/api/chat")
    assert found == ["middleware_buffering" if directly else "proxy_buffering"]


def test_it_says_whether_the_application_answers_without_the_proxy(settings: Any) -> None:
    short_limits(settings)
    with served() as port, saying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as address:
        arguments = [address, "--quick", "--no-model", "--token", TOKEN, "--direct"]
        works = doctor(*arguments, f"http://127.0.0.1:{port}/api/chat/")
        fails = doctor(*arguments, f"http://127.0.0.1:{port}/chat/")
    assert (works[0], "without the proxy: it works" in works[1]) == (1, True)
    assert (fails[0], "without the proxy: wrong_url" in fails[1]) == (1, True)


def test_django_4_is_to_blame_where_it_does_not_hear_hangups(behind: Any, monkeypatch: Any) -> None:
    told = doctor_probe._facts
    monkeypatch.setattr(doctor_probe, "_facts", lambda *given: {**told(*given), "hears_hangups": False})
    assert ids(behind(ignores_hangups=True, answer=framed), "--quick") == ["django_hides_hangups"]


def test_a_limit_of_the_site_is_named(behind: Any) -> None:
    # Somebody may wait: the turn of a probe that was broken off needs a moment to end.
    address = behind({"TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 1}, answer=framed)
    assert ids(address, "--quick") == [], "what the settings limit is no fault"


def test_a_body_that_django_refuses_is_named(behind: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    assert ids(behind(answer=framed), "--quick") == ["django_body_limit"]


def test_an_input_that_is_refused_for_its_own_sake_is_none_of_the_doctors_business(behind: Any) -> None:
    def no_body(request: bytes) -> bytes | None:
        return b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n" if len(request) > 50_000 else None

    assert ids(behind(answer=framed, instead=no_body), "--quick") == []


@pytest.mark.django_db
def test_a_user_who_has_a_token_is_enough() -> None:
    token = Token.objects.create(user=get_user_model().objects.create_user("alice"))
    asked: list[bytes] = []

    def refuse(request: bytes) -> bytes:
        asked.append(request)
        return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"

    with proxy(1, Meddling(instead=refuse)) as address:
        assert doctor(address, "--user", "alice", "--quick", "--no-model")[0] == 1
    assert f"Authorization: Token {token.key}\r\n".encode() in asked[0]


@pytest.mark.django_db
def test_no_token_is_ever_made() -> None:
    get_user_model().objects.create_user("alice")
    with pytest.raises(CommandError, match="drf_create_token alice"):
        doctor("http://127.0.0.1/api/chat/", "--user", "alice")
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["site.example", "--token", "x"], "give the address"),
        (["http://site.example/", "--token", "x", "--listen", "9100"], "give HOST:PORT"),
        (["http://site.example/", "--token", "x", "--listen", "192.0.2.1:0"], "--listen 192.0.2.1:0"),
        (["http://site.example/", "--token", "x", "--insecure-ca", "/nowhere"], "no such file"),
        (["http://site.example/"], "Give --token"),
    ],
)
def test_misuse_is_told_from_findings(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as error:
        doctor(*arguments)
    assert error.value.returncode == 2


def test_settings_that_cannot_be_are_named(behind: Any, settings: Any) -> None:
    address = behind(answer=framed)
    settings.WALDUR_CHAT = {"ENABLED": "no"}
    status, printed = doctor(address, "--token", TOKEN, "--quick")
    assert (status, printed.count("chat_not_configured: ")) == (1, 2)
