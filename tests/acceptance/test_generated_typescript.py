"""A TypeScript client generated from our OpenAPI document, called as the reference's samples call theirs."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running, stats

SOURCES = Path(__file__).parent / "typescript"


@pytest.fixture(scope="module")
def project(chat: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples, beside the client that was generated for them."""
    npm = needs.program("npm")
    directory = tmp_path_factory.mktemp("typescript")
    shutil.copytree(SOURCES, directory, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    installed = subprocess.run(
        [npm, "ci", "--prefer-offline", "--no-audit", "--no-fund"], cwd=directory, capture_output=True, text=True
    )
    if installed.returncode:
        needs.missing(f"the packages of package.json: {installed.stderr}")
    with urllib.request.urlopen(f"{chat.address}/api/schema/?format=json") as response:
        (directory / "schema.json").write_bytes(response.read())
    subprocess.run([npm, "run", "generate"], cwd=directory, check=True)
    return directory


@pytest.fixture(scope="module")
def built(project: Path) -> Path:
    """The samples as JavaScript, whatever the type checker says of them."""
    subprocess.run([needs.program("npm"), "run", "build"], cwd=project, check=False)
    return project / "build"


def command(built: Path, sample: str, server: Running, token: str = TOKEN) -> list[str]:
    return [needs.program("node"), str(built / sample), server.address, token]


def test_the_type_checker_accepts_the_client_and_its_calls(project: Path) -> None:
    checked = subprocess.run([needs.program("npm"), "run", "check"], cwd=project, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_invoke_gives_the_answer(built: Path, chat: Running) -> None:
    printed = subprocess.check_output(command(built, "invoke.js", chat), timeout=60)
    assert json.loads(printed) == "w0 w1 w2 w3 w4 "


def test_a_wrong_token_is_an_error_with_a_code(built: Path, chat: Running) -> None:
    printed = subprocess.check_output(command(built, "invoke.js", chat, token="wrong"), timeout=60)
    assert json.loads(printed)["code"] == "authentication_failed"


def test_stream_gives_the_words(built: Path, chat: Running) -> None:
    assert subprocess.check_output(command(built, "stream.js", chat), timeout=60) == b"w0 w1 w2 w3 w4 "


def test_the_first_word_is_given_before_the_last_is_produced(
    built: Path, slow_chat: Running, model_service: Running
) -> None:
    with subprocess.Popen(command(built, "stream.js", slow_chat), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(3) == b"w0 "
        assert stats(model_service)["answering"] == 1, "the model still writes"
        assert process.stdout.read() == b"w1 w2 w3 w4 "
