"""The host's answer as the result of a tool."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.views.host import HostAnswer
from waldur_chat.tools.views.parameters import is_json

TEXT = ("text/plain", "text/csv", "text/markdown", "application/xml", "text/xml")


def result_of(answer: HostAnswer) -> ToolResult:
    """The result: JSON as data; of pages of HTML the status only, of files the name only."""
    if 300 <= answer.status < 400:
        return ToolResult.failed("The view leads to another address, which tools do not follow.", _data(answer, None))
    value, words = _read(answer)
    if answer.status < 300:
        return ToolResult(summary=words or "Done.", data=value)
    if answer.status >= 500:
        return ToolResult.failed(_phrase(answer), _data(answer, None))
    data = _data(answer, value)
    reason = _reason(value) or _phrase(answer)
    return ToolResult(
        outcome="validation_error" if answer.status == 400 else "error", summary=reason, error=reason, data=data
    )


def _data(answer: HostAnswer, value: Any) -> dict[str, Any]:
    """What the model learns of a refusal."""
    return {"status": answer.status, "answer": _phrase(answer) if value is None else value}


def _read(answer: HostAnswer) -> tuple[Any, str]:
    """The value of the body, None for none, and a sentence about it."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    disposition = answer.headers.get("content-disposition", "")
    if disposition.lower().startswith("attachment"):
        return None, f"The view gives a file, which tools do not read: {_file_name(disposition) or kind}."
    if not answer.body:
        return None, ""
    if is_json(kind) and not answer.is_cut:
        return _json(answer.body)
    if kind in TEXT or is_json(kind):
        return answer.body.decode("utf-8", "replace"), "Only the beginning was read." if answer.is_cut else ""
    return None, "" if kind == "text/html" else f"The view gives {kind or 'bytes'}, which tools do not read."


def _json(body: bytes) -> tuple[Any, str]:
    try:
        return json.loads(body), ""
    except ValueError:
        return None, "The view says that it gives JSON, but it does not."


def _phrase(answer: HostAnswer) -> str:
    """The status in words, without anything of the body: a debug page is a traceback."""
    try:
        return HTTPStatus(answer.status).phrase
    except ValueError:
        return answer.reason


def _reason(value: Any) -> str:
    """The sentence of DRF's errors; empty if the body has another shape."""
    detail = value.get("detail") if isinstance(value, dict) else None
    if isinstance(detail, str):
        return detail
    return json.dumps(value, ensure_ascii=False)[:1000] if value is not None else ""


def _file_name(disposition: str) -> str:
    found = re.search(r'filename="?([^";]+)', disposition)
    return found[1].strip() if found else ""
