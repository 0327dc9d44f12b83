"""curl, by people at a terminal who want just the words."""

from __future__ import annotations

import subprocess

from tests.acceptance import needs
from tests.processes import TOKEN, Running, stats


def command(server: Running) -> list[str]:
    headers = [f"Authorization: Token {TOKEN}", "Content-Type: application/json", "Accept: text/plain"]
    options = [option for header in headers for option in ("-H", header)]
    return [needs.program("curl"), "-sN", f"{server.address}/api/chat/stream/", *options, "-d", '{"input": "Hello"}']


def test_plain_text_is_just_the_words(chat: Running) -> None:
    assert subprocess.check_output(command(chat), timeout=60) == b"w0 w1 w2 w3 w4 "


def test_the_first_word_is_printed_before_the_last_is_produced(slow_chat: Running, model_service: Running) -> None:
    with subprocess.Popen(command(slow_chat), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(3) == b"w0 "
        assert stats(model_service)["answering"] == 1, "the model still writes"
        assert process.stdout.read() == b"w1 w2 w3 w4 "


def test_a_failure_within_the_answer_is_the_last_line(breaking_chat: Running) -> None:
    printed = subprocess.check_output(command(breaking_chat), timeout=60)
    assert printed.startswith(b"w0 w1 \n[provider_failed] ")
