"""The schema of an answer at the OpenAI provider: what is sent, and services that take none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.fake.refused import SCHEMAS
from tests.unit.aio import PROMPT, answer, run
from tests.unit.test_openai_provider import asking
from tests.unit.test_openai_tools import OFFERING
from waldur_chat.errors import ProviderError
from waldur_chat.messages import Prompt
from waldur_chat.providers import openai_features
from waldur_chat.providers.dialects.refusals import refusal_of_status
from waldur_chat.providers.openai import OpenAIProvider

pytestmark = pytest.mark.usefixtures("transport")

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMED = replace(PROMPT, answer_schema=SCHEMA)
BOTH = replace(OFFERING, answer_schema=SCHEMA)


@pytest.fixture(autouse=True)
def new_process() -> None:
    """Nothing was warned of in this process."""
    openai_features._warn.cache_clear()


def sent(*prompts: Prompt, model: str = "tokens=1", **options: Any) -> tuple[list[dict[str, Any]], bool]:
    """The bodies of the requests for these prompts, and whether schemas are taken after them."""

    async def main() -> tuple[list[dict[str, Any]], bool]:
        async with asking(model, **options) as (service, provider):
            for prompt in prompts:
                await answer(provider, prompt)
            return [request["body"] for request in service.stats.requests], provider.supports_json_schema

    return run(main())


def test_a_schema_is_sent_as_the_format_of_the_response() -> None:
    (body,), _ = sent(FORMED)
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    assert body["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": PROMPT.question}]


def test_a_prompt_without_a_schema_is_sent_as_ever() -> None:
    (body,), _ = sent(PROMPT)
    assert "response_format" not in body


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "one"])
def test_a_service_that_refuses_schemas_is_told_them_in_words_from_then_on(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies, is_taken = sent(FORMED, model=f"schema={name}&tokens=1")
    assert ["response_format" in body for body in bodies] == [True, False]
    assert '"required": ["city"]' in bodies[-1]["messages"][0]["content"]
    assert not is_taken
    assert caplog.text.count("refuses JSON Schemas") == 1


def test_a_service_that_refuses_one_schema_is_sent_the_next_one() -> None:
    bodies, is_taken = sent(FORMED, FORMED, model="schema=one&tokens=1")
    assert ["response_format" in body for body in bodies] == [True, False, True, False]
    assert is_taken


def test_a_service_may_refuse_tools_and_schemas() -> None:
    bodies, is_taken = sent(BOTH, model="schema=deepseek&tools=vllm&tokens=1")
    assert ["tools" in body for body in bodies] == [True, False, False]
    assert ["response_format" in body for body in bodies] == [True, True, False]
    assert not is_taken


def test_another_refusal_is_not_about_the_schema() -> None:
    with pytest.raises(ProviderError):
        sent(FORMED, model="status=400")


def test_a_service_may_be_known_to_take_schemas() -> None:
    with pytest.raises(ProviderError):
        sent(FORMED, model="schema=deepseek", json_schema=True)


def test_a_service_may_be_known_to_take_none() -> None:
    assert not OpenAIProvider(base_url="http://internal/v1", json_schema=False).supports_json_schema
    with pytest.raises(ImproperlyConfigured, match="json_schema must be True, False or None"):
        OpenAIProvider(base_url="http://internal/v1", json_schema="yes")


@pytest.mark.parametrize(
    ("status", "text"),
    [(429, "too many requests with response_format"), (401, "no json mode for this key"), (400, "json")],
)
def test_other_refusals_are_not_of_schemas(status: int, text: str) -> None:
    assert not refusal_of_status(status, {"error": {"message": text}}).refuses_json_schema
