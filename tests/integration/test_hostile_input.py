"""Requests that mean harm, or mean nothing: each is answered in the API's own words, and the next one works."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import django
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.integration.conftest import Caller, Reply
from waldur_chat.testing import Script, scripted

FORMATS = {"text/event-stream", "application/x-ndjson", "text/plain; charset=utf-8"}
QUESTION = {"input": "Hi"}
FIELDS = ["input", "mode", "thread_uuid", "edit_message_uuid", "update_thread_name"]
REFUSALS = {400, 401, 406, 413, 415}

many = hypothesis_settings(
    max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

some = hypothesis_settings(many, max_examples=20)


@pytest.fixture(autouse=True)
def model() -> Iterator[Script]:
    """A model that says "Hello"."""
    with scripted("Hello") as script:
        yield script


@pytest.fixture(autouse=True)
def the_next_request_works_and_nothing_was_logged(call: Caller, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    caplog.clear()
    assert call.invoke({"input": "Hi"}).json == "Hello"
    for when in ("call", "teardown"):
        assert [record for record in caplog.get_records(when) if record.levelno >= logging.ERROR] == []


def sane(reply: Reply) -> bool:
    """Whether this is an answer, or a refusal in the words of the API."""
    if reply.status == 200:
        return reply.headers["Content-Type"] in FORMATS or reply.json == "Hello"
    return reply.status in REFUSALS and isinstance(reply.json["code"], str)


def nested(depth: int, inner: str = "1") -> str:
    """JSON of lists within lists."""
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (nested(500), 400),
        (nested(1_000_000), 400),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, 400),
        (f'{{"input": {nested(100_000)}}}', 400),
        (f'{{"input": "Hi", "x": {nested(400)}}}', 200),
        (f'{{"input": {"9" * 4000}}}', 400),
        (f'{{"input": {"9" * 100_000}}}', 400),
        ('{"input": NaN}', 400),
        ('{"input": 1e999}', 400),
        ('{"input": true}', 400),
        ('{"input": {"input": "Hi"}}', 400),
        ('{"input": 1, "input": "Hi"}', 200),
        ('{"input": "Hi", "input": 1}', 400),
        ('{"input": "Hi", "\\ud800": "\\udfff"}', 200),
        ('{"input": "\\ud83d\\ude42"}', 200),
        ('{"input": "\\ude42\\ud83d"}', 400),
        ('{"input": "\\u0000"}', 400),
        ('{"input": "\\u0001\\u001b[2J\\u007f\\u0085\\u202e\\u2028\\ufeff\\uffff"}', 200),
        ('{"input": "Hi", "thread_uuid": [], "mode": {}}', 400),
        ('{"input": "Hi", "thread_uuid": null, "mode": null, "edit_message_uuid": null}', 200),
        (f'{{"input": "Hi", "thread_uuid": "{"0" * 100_000}"}}', 400),
        (f'{{"input": "Hi", "thread_uuid": {"9" * 4000}}}', 400),
        ('{"input": "Hi"}' + " " * 1_000_000, 200),
        ('{"input": "Hi"} {}', 400),
        ('{"input": "Hi", ' + ",".join(f'"{number}": 1' for number in range(100_000)) + "}", 200),
        (f'{{"input": "{"x" * 10_000_000}"}}', 413),
        (f'{{"input": "Hi", "x": "{"x" * 10_000_000}"}}', 413),
        (f'{{"input": "{"x" * 2_000_000}"}}', 400),
        ("\x00" * 1000, 400),
        ("", 400),
        (" ", 400),
    ],
    ids=lambda value: ascii(str(value)[:30]),
)
def test_json_of_every_sort_is_read_or_refused(call: Caller, body: str, status: int) -> None:
    assert call.stream(body.encode()).status == status


@pytest.mark.parametrize("body", [b'{"input": "\xff"}', b'{"input": "\xed\xa0\x80"}', b'{"input": "\xc3', b"\xff\xfe{"])
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=latin-1"])
def test_what_is_not_utf8_is_refused(call: Caller, body: bytes, content_type: str) -> None:
    reply = call.post("/api/chat/stream/", body, content_type=content_type)
    assert (reply.status, reply.json["code"]) == (400, "parse_error")


def test_control_characters_reach_the_model_as_they_are(call: Caller, model: Script) -> None:
    call.stream({"input": "a\x01\x1b[2J\u2028b"})
    assert model.prompts[0].question == "a\x01\x1b[2J\u2028b"


@many
@given(st.binary(max_size=200))
def test_no_bytes_break_the_api(call: Caller, body: bytes) -> None:
    assert sane(call.invoke(body))
    assert sane(call.stream(body))


@many
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
    )
)
def test_no_json_breaks_the_api(call: Caller, value: object) -> None:
    body = json.dumps(value).encode()
    assert sane(call.invoke(body))
    assert sane(call.stream(body))


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        (",", 200),
        (" , ;q=1", 406),
        ("text/plain;q=nan", 200),
        ("text/plain;q=-1", 200),
        ("text/plain;q=1e999", 200),
        ("text/plain;q=", 200),
        ("text/plain;q=0;q=1", 406),
        ("text/plain;q=0, */*;q=0", 406),
        ("*/*;q=0", 406),
        ("*", 406),
        ("text/*;q=0.1", 200),
        ("/", 406),
        (";;;===,,,", 406),
        ("\xff\xfe", 406),
        ('text/plain; a="x,y;q=0"', 200),
        ("a" * 100_000, 406),
        ("a/b;q=0.1," * 10_000 + "text/plain", 200),
        ("text/plain;" + "a=b;" * 30_000, 200),
        ("text/plain;q=" + "0" * 100_000 + "1", 200),
        ("text/plain;q=" + "9" * 100_000, 200),
    ],
    ids=lambda value: ascii(str(value)[:30]),
)
def test_accept_of_every_sort_is_met_or_refused(call: Caller, accept: str, status: int) -> None:
    assert call.stream(Accept=accept).status == status


header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


@many
@given(
    header_text | st.lists(st.sampled_from([*'/;,=*"q ', "text", "plain", "nan", "0.5", "event-stream"])).map("".join)
)
def test_no_accept_breaks_the_api(call: Caller, accept: str) -> None:
    assert sane(call.invoke(Accept=accept))
    assert sane(call.stream(Accept=accept))


@pytest.mark.parametrize(
    "name", ["Accept_Language", "Authorization", "Cookie", "X_Request_ID", "X_CSRFToken", "Referer", "Content_Encoding"]
)
@some
@given(value=header_text | st.sampled_from(["Token ", "Token x" * 1000, "sessionid=\xff", "de;q=nan", "x" * 100_000]))
def test_no_header_breaks_the_api(call: Caller, name: str, value: str) -> None:
    assert sane(call.stream(**{name: value}))


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/json;", 200),
        ("APPLICATION/JSON; charset=nonsense", 200),
        ("application/json; boundary=x, text/plain", 200),
        ("application/json,application/json", 415),
        ("application/*", 200),
        ("*/*", 200),
        ("text/json", 415),
        ("multipart/form-data", 415),
        ("application/x-www-form-urlencoded", 415),
        ("x" * 100_000, 415),
        ("/;=;", 415),
        ("application/json; a=b; c", 200),
    ],
    ids=lambda value: ascii(str(value)[:30]),
)
def test_a_content_type_is_json_or_refused(call: Caller, content_type: str, status: int) -> None:
    if len(content_type) > 1000 and django.VERSION >= (6, 1):
        pytest.skip("Django 6.1 refuses it before the test client has a request: 400 from a server")
    assert call.post("/api/chat/stream/", {"input": "Hi"}, content_type=content_type).status == status


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_that_claims_to_be_json_is_refused(call: Caller, content_type: str) -> None:
    for body in (b"input=Hi", b'--x\r\nContent-Disposition: form-data; name="input"\r\n\r\nHi\r\n--x--\r\n'):
        assert call.post("/api/chat/invoke/", body).status == 400
        assert call.post("/api/chat/invoke/", body, content_type=content_type).status == 415


@pytest.mark.parametrize("length", ["", "0", "3", "-1", "x", "9" * 30])
def test_no_content_length_breaks_the_api(call: Caller, length: str) -> None:
    if len(length) > 9 and call.colour == "wsgi" and django.VERSION < (5, 0):
        pytest.skip("The test client of Django 4.2 does not read beyond the body, as servers do")
    assert sane(call.invoke({"input": "Hi"}, Content_Length=length))


SANE = ["a", "A" * 128, "0123:abc/def.ghi_jkl=mno+pqr-stu"]
INSANE = [
    "",
    "A" * 129,
    "x" * 100_000,
    "a b",
    "a\tb",
    "a,b",
    "a;b",
    "<a>",
    '"a"',
    "\u00e9",
    "\u00b2",
    "%0d%0a",
    "a\\nb",
    "a\n",
]


@pytest.mark.parametrize("given", SANE)
@pytest.mark.parametrize("data", [QUESTION, b"{"])
def test_a_sane_id_of_the_client_is_kept(call: Caller, given: str, data: Any) -> None:
    for operation in ("invoke", "stream"):
        reply = call.post(f"/api/chat/{operation}/", data, X_Request_ID=given)
        assert reply.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", INSANE, ids=lambda value: ascii(value[:10]))
@pytest.mark.parametrize("data", [QUESTION, b"{"])
def test_any_other_id_is_replaced(call: Caller, caplog: pytest.LogCaptureFixture, given: str, data: Any) -> None:
    caplog.set_level(logging.DEBUG)
    for operation in ("invoke", "stream"):
        reply = call.post(f"/api/chat/{operation}/", data, X_Request_ID=given)
        assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["X-Request-ID"])
    assert all(len(record.getMessage()) < 10_000 and "\n" not in record.getMessage() for record in caplog.records)
