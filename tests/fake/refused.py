"""How services refuse tools and the schemas of answers, in their own words, each with its source."""

from __future__ import annotations

from typing import Any

Refusal = tuple[int, dict[str, Any]]

TOOLS: dict[str, Refusal] = {
    # Ollama, https://github.com/ollama/ollama/issues/6027
    "refuse": (400, {"error": {"message": "m does not support tools", "type": "api_error", "code": None}}),
    "ollama": (400, {"error": {"message": "stablelm2:latest does not support tools", "type": "api_error"}}),
    # vLLM, https://github.com/langchain4j/langchain4j/issues/2550
    "vllm": (
        400,
        {
            "object": "error",
            "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    # llama.cpp, https://github.com/QwenLM/Qwen3.8/issues/44 and https://github.com/ggml-org/llama.cpp/issues/10920
    "jinja": (500, {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}}),
    "llama": (500, {"error": {"code": 500, "message": "Unsupported param: tools", "type": "server_error"}}),
    # Alibaba, https://github.com/agno-agi/agno/issues/2929
    "alibaba": (
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "message": "<400> InternalError.Algo.InvalidParameter: The tool call is not supported.",
            }
        },
    ),
}

UNCLEAR: Refusal = (500, {"error": {"message": "Internal server error", "type": "server_error"}})
"""One that does not say what is refused, so that nothing is asked again."""

THOUGHTS: Refusal = (400, {"error": {"message": "thoughts must be passed back", "type": "api_error"}})
"""One that wants the thoughts back which came before a call."""

SCHEMAS: dict[str, Refusal] = {
    # DeepSeek, https://github.com/ItzCrazyKns/Vane/issues/969
    "deepseek": (
        400,
        {"error": {"message": "This response_format type is unavailable now", "type": "invalid_request_error"}},
    ),
    # OpenAI, https://github.com/AgnostiqHQ/multi-agent-llm/issues/2
    "openai": (
        400,
        {
            "error": {
                "message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with "
                "this model.",
                "type": "invalid_request_error",
                "param": "",
                "code": None,
            }
        },
    ),
    # llama.cpp, https://github.com/ggml-org/llama.cpp/issues/9522
    "llama": (
        500,
        {
            "error": {
                "code": 500,
                "message": 'response_format type must be one of "text" or "json_object", but got: json_schema',
                "type": "server_error",
            }
        },
    ),
    # xAI behind LiteLLM, https://github.com/BerriAI/litellm/issues/6610
    "xai": (
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "The response_format parameter is unsupported at the moment. Leave it unset.",
        },
    ),
    # Groq of other models, https://github.com/dzhng/deep-research/issues/127
    "groq": (
        400,
        {
            "error": {
                "message": "'response_format.type' : value is not one of the allowed values ['text','json_object']",
                "type": "invalid_request_error",
            }
        },
    ),
    # Groq of one schema, https://github.com/i-am-bee/beeai-framework/issues/1215
    "one": (
        400,
        {
            "error": {
                "message": "invalid schema for response format: response_format/json_schema/next_step: minItems is not "
                "supported",
                "type": "invalid_request_error",
            }
        },
    ),
}
