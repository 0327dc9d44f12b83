"""A Python client generated from our OpenAPI document, called as the reference's samples call theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running

CLIENT = """
import sys
from chat_client.client import AuthenticatedClient
client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], prefix="Token")
"""
INVOKE = """
from chat_client.api.chat import chat_invoke
response = chat_invoke.sync(client=client)
"""
STREAM = """
from chat_client.models import ChatRequestRequest
from chat_client.api.chat import chat_stream
body_data = ChatRequestRequest(input_="string-value")
response = chat_stream.sync(client=client, body=body_data)
"""


@pytest.fixture(scope="module")
def generated(chat: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package `chat_client`; any warning of the generator is an error."""
    needs.module("openapi_python_client")
    directory = tmp_path_factory.mktemp("generated")
    (directory / "config.yml").write_text("post_hooks: []")
    document = f"{chat.address}/api/schema/?format=json"
    subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--url", document,
            "--config", "config.yml", "--output-path", "chat_client", "--meta", "none", "--fail-on-warning",
        ],
        cwd=directory, check=True,
    )  # fmt: skip
    return directory


def call(generated: Path, server: Running, sample: str, token: str = TOKEN) -> str:
    """What the sample's response is, printed by a Python that knows the package."""
    command = [sys.executable, "-c", f"{CLIENT}{sample}print(repr(response))", server.address, token]
    environment = {**os.environ, "PYTHONPATH": str(generated)}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def test_invoke_returns_the_answer(generated: Path, chat: Running) -> None:
    assert call(generated, chat, INVOKE) == "'w0 w1 w2 w3 w4 '\n"


def test_stream_returns_the_text_of_the_stream(generated: Path, chat: Running) -> None:
    printed = call(generated, chat, STREAM)
    assert re.findall(r"w\d", printed) == ["w0", "w1", "w2", "w3", "w4"]


def test_a_wrong_token_is_a_documented_error(generated: Path, chat: Running) -> None:
    assert "code='authentication_failed'" in call(generated, chat, STREAM, token="wrong")


def test_a_failing_provider_is_a_documented_error(generated: Path, failing_chat: Running) -> None:
    assert "code='provider_failed'" in call(generated, failing_chat, INVOKE)
