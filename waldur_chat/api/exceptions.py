"""Map errors to DRF's exceptions, and add `code` and `retry_after` to their responses."""

from __future__ import annotations

import logging
import math
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import UnreadablePostError
from django.utils.translation import gettext
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.response import Response

from waldur_chat.api.request.parsers import BodyTooLarge
from waldur_chat.errors import (
    BudgetExhausted,
    ChatError,
    DatabaseUnavailable,
    InvalidQuestion,
    ThreadBusy,
    ToolCallDecided,
)

logger = logging.getLogger(__name__)


class ChatAPIException(APIException):
    """A `ChatError` as an `APIException`, so that the host's exception handler treats it like any other."""

    def __init__(self, error: ChatError) -> None:
        self.status_code = error.status
        self.error = error
        super().__init__(error.told(gettext), error.code)
        is_known = isinstance(error, ThreadBusy) and error.retry_after
        if error.status in (429, 503) or isinstance(error, BudgetExhausted) or is_known:
            self.wait = max(1, error.retry_after or 1)


def as_api_exception(error: Exception) -> Exception:
    """Return the `APIException` for an error of this package, and for those of Django that would be an HTML page.

    Other errors are returned unchanged.
    """
    if isinstance(error, APIException):
        error.detail = _encodable(error.detail)
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(error, UnreadablePostError):
        # The client disconnected while sending. Any other error would be logged, and mailed to the admins.
        return ParseError()
    if _is_outage(error):
        logger.error("The database is unavailable: %s: %s", type(error).__name__, str(error).partition("\n")[0])
        return ChatAPIException(DatabaseUnavailable())
    if isinstance(error, InvalidQuestion):
        return ValidationError({error.field: [gettext(str(error))]})
    return ChatAPIException(error) if isinstance(error, ChatError) else error


def _is_outage(error: Exception) -> bool:
    """Whether the database cannot be reached or used. SQLite raises the same error for a table that is not there."""
    return isinstance(error, (OperationalError, InterfaceError)) and not str(error).startswith("no such ")


def _encodable(detail: Any) -> Any:
    r"""Return the detail with lone surrogates escaped (`\ud800`), which JSON can contain and UTF-8 cannot encode.

    DRF quotes the request in some errors, as in that of an invalid choice. Its renderer would raise UnicodeEncodeError.
    """
    match detail:
        case dict():
            return {_encodable(name): _encodable(inner) for name, inner in detail.items()}
        case list() | tuple():
            return [_encodable(inner) for inner in detail]
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


def _extra_fields(error: APIException) -> dict[str, str | int]:
    """The fields of the response that only this kind of error has."""
    match getattr(error, "error", None):
        case ThreadBusy(turn=turn):
            return {"turn_uuid": turn}
        case ToolCallDecided(call_status=call_status):
            return {"status": call_status}
        case BudgetExhausted(scope=scope, period=period, needed=needed, left=left):
            return {"scope": scope, "period": period, "needed": needed, "left": left}
        case _:
            return {}


def add_error_fields(response: Response, error: Exception) -> None:
    """Add `code`, `retry_after` and the `Retry-After` header to the response of the host's exception handler.

    Fields that the handler has set are kept, and a body that is no object is left unchanged. The time is in the body as
    well, since browsers hide the header from pages of other origins.
    """
    if not isinstance(error, APIException):
        return
    data = getattr(response, "data", None)
    wait = getattr(error, "wait", None)
    if wait is not None:
        response["Retry-After"] = str(max(1, math.ceil(wait)))
    if isinstance(data, dict):
        for name, value in _extra_fields(error).items():
            data.setdefault(name, value)
        data.setdefault("code", "invalid" if isinstance(error, ValidationError) else error.get_codes())
        if wait is not None:
            data.setdefault("retry_after", int(response["Retry-After"]))
