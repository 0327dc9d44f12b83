"""The client is for processes without Django."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import waldur_chat.client


def test_it_imports_neither_django_nor_what_needs_it() -> None:
    seen = "import sys, waldur_chat.client; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True).stdout
    assert not {name.partition(".")[0] for name in printed.split()} & {"django", "rest_framework", "openai", "asgiref"}


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "waldur_chat.client")
    with pytest.raises(ImportError, match=r'pip install "waldur_chat\[client\]"'):
        importlib.import_module("waldur_chat.client")


def test_all_that_it_offers_is_there() -> None:
    assert all(hasattr(waldur_chat.client, name) for name in waldur_chat.client.__all__)
