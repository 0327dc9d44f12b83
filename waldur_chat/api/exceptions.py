"""Errors as responses: DRF's `detail`, and a `code` beside it."""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from django.utils.translation import gettext
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.response import Response

from waldur_chat.api.request.parsers import BodyTooLarge
from waldur_chat.errors import BudgetExhausted, ChatError, QuestionRefused, ThreadBusy


class ChatAPIException(APIException):
    """A `ChatError` in DRF's words, so that the host's exception handler treats it like every other."""

    def __init__(self, error: ChatError) -> None:
        self.status_code = error.status
        self.error = error
        super().__init__(gettext(error.sentence), error.code)
        if error.status in (429, 503) or isinstance(error, BudgetExhausted):
            self.wait = max(1, error.retry_after or 1)


def as_api_exception(error: Exception) -> Exception:
    """The error as an `APIException`, where it is one of ours, or Django's and would be a page in HTML.

    Who hangs up while he sends is nobody's failure: as any other error it would be logged, and mailed to admins. What
    an error quotes can be written in every format.
    """
    if isinstance(error, APIException):
        error.detail = _writable(error.detail)
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(error, UnreadablePostError):
        return ParseError()
    if isinstance(error, QuestionRefused):
        return ValidationError({error.field: [gettext(str(error))]})
    return ChatAPIException(error) if isinstance(error, ChatError) else error


def _writable(detail: Any) -> Any:
    r"""The same with `\ud800` in the place of a lone surrogate, which JSON may bring and UTF-8 cannot take away.

    DRF quotes what was sent, as a choice that is none; its renderer would raise UnicodeEncodeError.
    """
    match detail:
        case dict():
            return {_writable(name): _writable(inner) for name, inner in detail.items()}
        case list() | tuple():
            return [_writable(inner) for inner in detail]
        case ErrorDetail() if not _is_utf8(detail):
            return ErrorDetail(_escaped(detail), detail.code)
        case str() if not _is_utf8(detail):
            return _escaped(detail)
        case _:
            return detail


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _particulars(error: APIException) -> dict[str, str]:
    """What else a program wants to know of the error."""
    match getattr(error, "error", None):
        case ThreadBusy(turn=turn):
            return {"turn_uuid": turn}
        case BudgetExhausted(scope=scope, period=period):
            return {"scope": scope, "period": period}
        case _:
            return {}


def complete(response: Response, error: Exception) -> None:
    """Put code and time beside what the host's exception handler answered, where that has room for them.

    The time stands in the body too, since browsers hide the header from pages of other origins.
    """
    if not isinstance(error, APIException):
        return
    data = getattr(response, "data", None)
    wait = getattr(error, "wait", None)
    if wait is not None:
        response["Retry-After"] = str(max(1, math.ceil(wait)))
    if isinstance(data, dict):
        for name, value in _particulars(error).items():
            data.setdefault(name, value)
        data.setdefault("code", "invalid" if isinstance(error, ValidationError) else error.get_codes())
        if wait is not None:
            data.setdefault("retry_after", int(response["Retry-After"]))
