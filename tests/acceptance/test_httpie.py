"""HTTPie, called to the letter of the reference (contract section 1)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running, stats

INVOKE = 'http POST {address}/api/chat/invoke/ Authorization:"Token {token}"'
STREAM = 'http POST {address}/api/chat/stream/ Authorization:"Token {token}" input="string-value"'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Keeps HTTPie from reading the user's settings and from looking for news of itself."""
    (tmp_path / "config.json").write_text('{"disable_update_warnings": true}')
    return {**os.environ, "HTTPIE_CONFIG_DIR": str(tmp_path)}


def arguments(line: str, server: Running, *options: str) -> list[str]:
    """The line as a shell would take it, without the standard input that only a terminal has."""
    _, *words = shlex.split(line.format(address=server.address, token=TOKEN))
    return [needs.program("http"), "--ignore-stdin", *options, *words]


def test_invoke_prints_the_answer_as_a_json_string(chat: Running, environment: dict[str, str]) -> None:
    printed = subprocess.check_output(arguments(INVOKE, chat), env=environment, timeout=60)
    assert json.loads(printed) == "w0 w1 w2 w3 w4 "


def test_stream_prints_the_words_as_events(chat: Running, environment: dict[str, str]) -> None:
    printed = subprocess.check_output(arguments(STREAM, chat), env=environment, timeout=60)
    data = [json.loads(line[6:]) for line in printed.splitlines() if line.startswith(b"data: ")]
    assert "".join(one.get("c", "") for one in data) == "w0 w1 w2 w3 w4 "


@pytest.mark.parametrize("options", [[], ["--stream"]])
def test_the_first_word_is_printed_before_the_last_is_produced(
    slow_chat: Running, model_service: Running, environment: dict[str, str], options: list[str]
) -> None:
    command = arguments(STREAM, slow_chat, *options)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        next(line for line in process.stdout if b"w0" in line)
        assert stats(model_service)["answering"] == 1, "the model still writes"
        assert b"w4" in process.stdout.read()
