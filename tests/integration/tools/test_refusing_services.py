"""A site with tools, and services that refuse them: its users get their answers, and its operator a warning."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake.refused import TOOLS
from tests.fake.running import serving
from tests.fake.service import Service
from waldur_chat import conf
from waldur_chat.providers import openai_features


@pytest.fixture
def service(settings: Any, user: Any) -> Iterator[Service]:
    """The service of a site with one tool. The model is still to be named."""
    openai_features._warn.cache_clear()
    service = Service()
    with serving(service) as address:
        options = {"base_url": f"{address}/v1", "api_key": "k"}
        settings.WALDUR_CHAT = {
            "STORAGE": False,
            "ATTEMPTS": 1,
            "PROVIDERS": {"default": {"BACKEND": conf.OPENAI, "OPTIONS": options}},
            "TOOLS": {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}},
        }
        yield service


@pytest.mark.parametrize("name", TOOLS)
def test_users_of_a_service_that_refuses_tools_get_their_answers(
    call: Any, settings: Any, service: Service, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WALDUR_CHAT["PROVIDERS"]["default"]["OPTIONS"]["model"] = f"tools={name}&text=Hello"
    streamed = call.stream({"input": "Hi"})
    assert (streamed.status, call.invoke({"input": "Hi"}).json) == (200, "Hello")
    assert _text(streamed.body) == "Hello"
    assert [record.levelno for record in caplog.records if "refuses tools" in record.message] == [logging.WARNING]
    offered = ["tools" in request["body"] for request in service.stats.requests]
    assert offered[:2] == [True, False]


def _text(body: bytes) -> str:
    """The text of a stream, which has no error in it."""
    lines = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    assert not [line for line in lines if "code" in line]
    return "".join(line.get("c", "") for line in lines)


def test_the_site_warns_once_where_its_provider_is_made_again(
    call: Any, settings: Any, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    default = settings.WALDUR_CHAT["PROVIDERS"]["default"]
    for limit in (100, 200):
        default["OPTIONS"] = {**default["OPTIONS"], "model": "tools=vllm&text=Hello", "max_output_tokens": limit}
        assert call.invoke({"input": "Hi"}).json == "Hello"
    assert ["tools" in request["body"] for request in service.stats.requests] == [True, False] * 2
    assert caplog.text.count("refuses tools") == 1
