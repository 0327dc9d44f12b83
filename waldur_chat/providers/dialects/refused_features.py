"""Whether a refusal is of tools, or of the schema of the answer: then the same request may pass without them."""

from __future__ import annotations

import re
from typing import Literal

from waldur_chat.providers.dialects.error_fields import ErrorFields

RefusedTools = Literal["", "vllm", "llama.cpp", "model", "unnamed"]
RefusedJsonSchema = Literal["", "service", "schema"]

_TOOLS = r"(?:tools?|tool[ _-](?:choice|use|calls?|calling)|functions?|function[ _-]call(?:s|ing)?)"
_VLLM_TEXT = re.compile(r"--enable-auto-tool-choice|--tool-call-parser|unsupported tool_call_parser")
_LLAMA_TEXT = re.compile(r"--jinja|unsupported param: tools|tools param is not fully supported")
_MODEL_TEXT = re.compile(
    rf"support tool use|(?:not|n't) (?:\w+ )?support (?:native |the use of |parameters?:? )?\W{{0,2}}{_TOOLS}\b"
)
_TOOLS_TEXT = re.compile(
    rf"\b{_TOOLS}\W{{0,2}}(?: param\w*)? (?:(?:is|are) (?:not|un)|not )(?: \w+)? ?(?:support|available|enabled)"
    rf"|(?:unsupported|unknown|unrecognized|unexpected) [\w ]{{0,30}}:? ?\W{{0,2}}{_TOOLS}\b"
)
"""vLLM; llama.cpp, older ones too; Ollama, OpenRouter and LiteLLM; OpenAI, Alibaba and Novita."""

_NO_PARAMETER_CODES = {"unsupportedparameter", "unsupportedvalue", "unknownparameter", "extraforbidden"}
"""Other codes blame what the parameter holds, as the schema of one tool."""

_SCHEMA_TEXT = re.compile(r"response[_ ]format|json[_ ]schema|structured outputs?\b|json mode\b")
_ONE_SCHEMA_TEXT = re.compile(r"invalid (?:json )?schema|schema (?:is|was) invalid|combined with tool")
"""Not of this schema, or not together with tools."""


def refused_tools(fields: ErrorFields) -> RefusedTools:
    """What the service says of its tools, see `ProviderError`; empty if the error is about something else."""
    text = fields.text
    if _VLLM_TEXT.search(text):
        return "vllm"
    if _LLAMA_TEXT.search(text):
        return "llama.cpp"
    if _MODEL_TEXT.search(text):
        return "model"
    is_parameter = fields.parameter in ("tools", "tool_choice") and fields.words & _NO_PARAMETER_CODES
    return "unnamed" if is_parameter or _TOOLS_TEXT.search(text) else ""


def refused_json_schema(fields: ErrorFields) -> RefusedJsonSchema:
    """Whether the service takes no schemas or not this one, see `ProviderError`; empty for another error."""
    if fields.parameter != "response_format" and not _SCHEMA_TEXT.search(fields.text):
        return ""
    return "schema" if _ONE_SCHEMA_TEXT.search(fields.text) else "service"
