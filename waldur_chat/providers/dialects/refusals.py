"""From what a service says of an error to the class of ours: by HTTP status, or within a stream of status 200.

A refusal is one of three things: the question's (it is too long, or its content is refused), the operator's (key,
model, parameter, account), or the provider's (busy, slow, failing). Only status and codes are logged: a message may
quote keys and prompts.
"""

from __future__ import annotations

import re

from waldur_chat.errors import (
    ContextExceeded,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderTooSlow,
)
from waldur_chat.providers.dialects.error_fields import ErrorFields, error_fields
from waldur_chat.providers.dialects.refused_features import refused_json_schema, refused_tools
from waldur_chat.providers.untrusted import MAX_TOKENS

_CONTEXT_CODES = {
    "contextlengthexceeded",
    "exceedcontextsizeerror",
    "contextexceeded",
    "contextwindowexceeded",
    "contextwindowexceedederror",
    "modelcontextwindowexceeded",
    "stringabovemaxlength",
    "requesttoolarge",
    "prompttoolong",
    "inputtoolong",
}
_CONTEXT_TEXT = re.compile(
    r"maximum context|context (?:length|window|size|limit)|longer than the (?:model'?s )?context|input token count"
    r"|(?:prompt|input|request|question|conversation)\b.{0,60}\b(?:too long|too large|longer than)|too long to fit"
    r"|exceeds? (?:n_ctx|max length)|max_seq_len|token (?:count|limit)\b|must have less than [\d,]+ tokens"
    r"|inputs. tokens|tokens to keep from the initial prompt|maximum (?:number of|input) tokens"
)
_CONTEXT_SIZES = [
    re.compile(pattern)
    for pattern in (
        r"context (?:length|window|size)(?: of \S+)?(?: is|:)[^\d.]{0,20}([\d,]{3,})",
        r"context (?:length|window|size)[^\d.]{0,40}?([\d,]{3,})",
        r"(?:> ?|<= ?|less than )([\d,]{3,})",
        r"(?:allowed|max_seq_len|limit of|limit:) \(?([\d,]{3,})",
        r"(?:max(?:imum)?|limit)[^\d.]{0,40}?([\d,]{3,})",
    )
]
"""Where the text has the size: OpenAI and vLLM; llama.cpp, SGLang and LM Studio; Anthropic and TGI; Gemini; others."""

_CONTENT_CODES = {
    "contentfilter",
    "contentpolicyviolation",
    "contentpolicyviolationerror",
    "responsibleaipolicyviolation",
    "contentblocked",
    "contentmoderation",
    "moderationblocked",
    "datainspectionfailed",
    "safety",
    "prohibitedcontent",
    "invalidprompt",
    "sensitive",
}
_CONTENT_TEXT = re.compile(
    r"content (?:management|filter\w*|safety|policy|moderation)|flagged|moderation|inappropriate content"
)

_KEY_CODES = {
    "invalidapikey",
    "authenticationerror",
    "apikeyinvalid",
    "unauthenticated",
    "unauthorized",
    "permissionerror",
    "permissiondenied",
    "accountdeactivated",
    "insufficientquota",
    "billinghardlimitreached",
    "billingnotactive",
    "insufficientbalance",
    "creditbalanceexhausted",
}
_KEY_TEXT = re.compile(r"api[ _]key|insufficient (?:balance|credit|quota)|not authori[sz]ed")
_MODEL_CODES = {
    "modelnotfound",
    "modelnotavailable",
    "invalidmodel",
    "unknownmodel",
    "deploymentnotfound",
    "notfounderror",
}
_MODEL_TEXT = re.compile(
    r"\bmodel\b.{0,100}\b(?:not found|does not exist|not exist|is not available|not supported|unavailable)"
)
_PARAMETER_CODES = {
    "unsupportedparameter",
    "unsupportedvalue",
    "unknownparameter",
    "missingrequiredparameter",
    "extraforbidden",
    "invalidtype",
}
_PARAMETER_TEXT = re.compile(
    r"(?:unknown|unsupported|unrecognized|unexpected) (?:request )?(?:parameter|argument|field|keyword)"
    r"|extra inputs|extra fields|stream_options|max_(?:completion_|output_)?tokens"
)

_BUSY_CODES = re.compile(
    r"ratelimit|overloaded|toomanyrequests|resourceexhausted|serviceunavailable|capacity|serverbusy"
)
_SLOW_CODES = re.compile(r"timeout|timedout|deadlineexceeded")
_QUESTION_CODES = {
    "badrequest",
    "badrequesterror",
    "invalidrequesterror",
    "invalidrequest",
    "invalidargument",
    "validation",
    "validationerror",
}

_NOT_OF_FEATURES = ("key", "content", "length")
"""What a refusal may be about that also names tools or schemas, as a count of tokens does."""

BUSY_STATUSES = (429, 503, 529)
QUESTION_STATUSES = (400, 413, 422)
_OPERATORS_STATUSES = (401, 402, 403, 404)
_TOO_LARGE = 413


def refusal_in_stream(body: object) -> ProviderError:
    """The error for one that a service sends in its stream, in place of a chunk."""
    fields = error_fields(body)
    return _refusal(fields.status, fields, f"The stream holds an error ({', '.join(fields.codes) or 'unnamed'}).")


def refusal_of_status(status: int, body: object = None, retry_after: int | None = None) -> ProviderError:
    """The error for an HTTP status, and the body that came with it, parsed from JSON where it is."""
    fields = error_fields(body)
    codes = f" ({', '.join(fields.codes)})" if fields.codes else ""
    return _refusal(status, fields, f"The provider answered with status {status}{codes}.", retry_after)


def _refusal(status: int | None, fields: ErrorFields, message: str, retry_after: int | None = None) -> ProviderError:
    error = _error(status, fields, message, retry_after)
    if not isinstance(error, (ProviderBusy, ProviderTooSlow)) and getattr(error, "about", "") not in _NOT_OF_FEATURES:
        error.refuses_tools = refused_tools(fields)
        error.refuses_json_schema = refused_json_schema(fields)
    return error


def _error(status: int | None, fields: ErrorFields, message: str, retry_after: int | None) -> ProviderError:
    if refused := _of_question(status, fields, message) or _of_operator(status, fields, message):
        return refused
    codes = " ".join(fields.words)
    # A status says more than a code, except where a proxy makes a 5xx of everything.
    is_vague = status is None or status >= 500
    if status in BUSY_STATUSES or (is_vague and _BUSY_CODES.search(codes)):
        return ProviderBusy(message, retry_after=retry_after)
    if status in (408, 504) or (is_vague and _SLOW_CODES.search(codes)):
        return ProviderTooSlow(message, retry_after=retry_after)
    if status in QUESTION_STATUSES or (status is None and fields.words & _QUESTION_CODES):
        return ProviderRefusedQuestion(message, provider_status=status)
    if status is None or status >= 500:
        return ProviderFailed(message, retry_after=retry_after)
    return ProviderRefused(message, provider_status=status)


def _of_question(status: int | None, fields: ErrorFields, message: str) -> ProviderRefusedQuestion | None:
    """The refusal of a question that is too long, or whose content is refused."""
    words = fields.words
    if fields.is_flagged or words & _CONTENT_CODES or (status in QUESTION_STATUSES and _is_about_content(fields)):
        return ProviderRefusedQuestion(message, provider_status=status, about="content")
    if status in _OPERATORS_STATUSES or status == 429:
        return None
    is_too_long = words & _CONTEXT_CODES or _CONTEXT_TEXT.search(fields.text) or status == _TOO_LARGE
    if is_too_long:
        return ContextExceeded(message, provider_status=status, context_tokens=_context_tokens(fields))
    return None


def _is_about_content(fields: ErrorFields) -> bool:
    return bool(_CONTENT_TEXT.search(fields.text))


def _of_operator(status: int | None, fields: ErrorFields, message: str) -> ProviderRefused | None:
    """The refusal of a key, an account, a model or a parameter, as far as it is named."""
    words = fields.words
    if status in (401, 402, 403) or words & _KEY_CODES or (_is_plain(status) and _KEY_TEXT.search(fields.text)):
        return ProviderRefused(message, provider_status=status, about="key")
    if words & _MODEL_CODES or (_is_plain(status) and _MODEL_TEXT.search(fields.text)):
        return ProviderRefused(message, provider_status=status, about="model")
    if fields.parameter == "model":
        return ProviderRefused(message, provider_status=status, about="model")
    is_named = fields.parameter or words & _PARAMETER_CODES or _PARAMETER_TEXT.search(fields.text)
    if _is_plain(status) and is_named:
        return ProviderRefused(message, provider_status=status, about="parameter")
    return None


def _is_plain(status: int | None) -> bool:
    """Whether the status leaves open what is refused: none, or a general one."""
    return status is None or status in QUESTION_STATUSES


def _context_tokens(fields: ErrorFields) -> int | None:
    """The size of the context, from a field or from the text."""
    found = (pattern.search(fields.text) for pattern in _CONTEXT_SIZES)
    named = (int(match.group(1).replace(",", "")[:12] or 0) for match in found if match)
    size = fields.context_tokens or next((number for number in named if number), None)
    return size if size and size <= MAX_TOKENS else None
