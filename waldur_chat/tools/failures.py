"""What a tool raises, in words for the model: those of the host where it meant them for users, and no others."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.http import Http404
from rest_framework.exceptions import APIException
from rest_framework.exceptions import ValidationError as DRFValidationError
from rest_framework.settings import api_settings

from waldur_chat.tools.arguments import InvalidArguments
from waldur_chat.tools.caller import CallerRefused
from waldur_chat.tools.effects import NoLongerRunning
from waldur_chat.tools.results import ToolResult

logger = logging.getLogger(__name__)

INTERNAL = "Internal error. The call may have had effects before it failed."
TOO_LATE = "The call had been given up. What it did was rolled back."
TOO_SLOW = "It took longer than {seconds:g} seconds. It may still have had its effect."


def as_result(error: Exception, name: str) -> ToolResult:
    """The result for an exception. One that was not meant for users is logged, and its words stay in the log."""
    match error:
        case InvalidArguments():
            return ToolResult.invalid(str(error))
        case DRFValidationError():
            return ToolResult.invalid(_words(error.detail))
        case ValidationError():
            return ToolResult.invalid(" ".join(error.messages))
        case NoLongerRunning():
            return ToolResult.failed(TOO_LATE)
        case CallerRefused():
            return ToolResult.failed(str(error))
        case PermissionDenied():
            return ToolResult.failed(_over_http(error) or "Permission denied.")
        case Http404():
            return ToolResult.failed(_over_http(error) or "Not found.")
        case ObjectDoesNotExist():
            return ToolResult.failed("Not found.")
        case APIException():
            return ToolResult.failed(_words(error.detail))
    logger.error("The tool %s failed", name, exc_info=error)
    return ToolResult.failed(INTERNAL)


def _over_http(error: Exception) -> str:
    """The sentence that the site's exception handler answers with; empty if the exception has none, or that fails."""
    if not (len(error.args) == 1 and isinstance(error.args[0], str)):  # The resolver's Http404 has the site's URLs.
        return ""
    answer: Any = api_settings.EXCEPTION_HANDLER
    try:
        data = answer(error, {"view": None, "args": (), "kwargs": {}, "request": None}).data
        return _words(data.get("detail", data) if isinstance(data, dict) else data)
    except Exception:
        logger.warning("The exception handler of the site gives no answer without a view", exc_info=True)
        return ""


def _words(detail: Any) -> str:
    """The messages of DRF, each behind the name of its field."""
    match detail:
        case dict():
            return " ".join(f"{name}: {_words(inner)}" for name, inner in detail.items())
        case list() | tuple():
            return " ".join(map(_words, detail))
        case _:
            return str(detail)
