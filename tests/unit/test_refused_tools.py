"""Refusals of tools, in the words of services, and refusals that only name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from waldur_chat.providers.dialects.refusals import refusal_of_status

REFUSALS: Sequence[tuple[int, Any]] = [
    # Ollama, https://github.com/ollama/ollama/issues/6027
    (400, {"error": {"message": "stablelm2:latest does not support tools", "type": "api_error", "code": None}}),
    (400, {"error": "hf.co/x/y-v1.1 does not support tools"}),
    # llama.cpp, https://github.com/ggml-org/llama.cpp/issues/10920 and https://github.com/QwenLM/Qwen3.8/issues/44
    (500, {"error": {"code": 500, "message": "Unsupported param: tools", "type": "server_error"}}),
    (500, {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}}),
    # vLLM, https://github.com/langchain4j/langchain4j/issues/2550
    (400, {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'
           " to be set", "type": "BadRequestError", "param": None, "code": 400}),
    # OpenAI, https://github.com/sbintuitions/flexeval/pull/242
    (400, {"error": {"message": "tools is not supported in this model. For a list of supported models, refer to"}}),
    (400, {"error": {"message": "Unsupported parameter: 'tools' is not supported with this model.", "param": "tools",
           "code": "unsupported_parameter"}}),
    # Novita behind OpenRouter, https://github.com/hotovo/aider-desk/issues/86
    (400, {"error": {"message": "Provider returned error", "code": 400,
           "metadata": {"raw": '{"message":"model features function calling not support"}'}}}),
    # Alibaba, https://github.com/agno-agi/agno/issues/2929
    (400, {"error": {"code": "invalid_parameter_error", "param": None,
           "message": "<400> InternalError.Algo.InvalidParameter: The tool call is not supported."}}),
    # https://github.com/RooCodeInc/Roo-Code/issues/10259
    (500, {"error": {"message": "Internal server error: Unsupported tool_call_parser: None"}}),
    # ik_llama.cpp, https://github.com/ikawrakow/ik_llama.cpp/pull/677
    (500, {"error": {"message": "tools param is not fully supported yet"}}),
    # FastAPI, https://docs.pydantic.dev/latest/errors/validation_errors/#extra_forbidden
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Extra inputs are not permitted"}]}),
    # OpenRouter, https://openrouter.ai/docs/guides/features/tool-calling
    (404, {"error": {"message": "No endpoints found that support tool use.", "code": 404}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_refusal_of_tools_is_told_as_such(status: int, body: Any) -> None:
    assert refusal_of_status(status, body).refuses_tools


OTHERS: Sequence[tuple[int, Any]] = [
    (400, {"error": {"message": "maximum context length is 8192 tokens, 5000 in the messages, 4000 in the functions"}}),
    (400, {"error": {"message": "Invalid schema for function 'list'", "code": "invalid_function_parameters",
           "param": "tools[0].function.parameters"}}),
    (400, {"error": {"message": "An assistant message with 'tool_calls' must be followed by tool messages"}}),
    (400, {"error": {"message": "Function call is missing a thought_signature in functionCall parts."}}),
    (429, {"error": {"message": "Tools are not available, slow down"}}),
    (401, {"error": {"message": "This key does not support tools"}}),
    (400, {"error": {"message": "The reasoning_content in the thinking mode must be passed back to the API."}}),
    (500, {"error": {"message": "no"}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), OTHERS)
def test_other_refusals_are_not_of_tools(status: int, body: Any) -> None:
    assert not refusal_of_status(status, body).refuses_tools
