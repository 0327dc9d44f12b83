"""Parse request bodies, within Django's limit on their size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json


class BodyTooLarge(APIException):
    """413: the body is larger than `DATA_UPLOAD_MAX_MEMORY_SIZE`."""

    status_code = 413
    default_code = "body_too_large"

    def __init__(self) -> None:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        super().__init__(_("The request body is larger than {limit} bytes.").format(limit=limit))


class LengthRequired(APIException):
    """411: the body has no `Content-Length`. Django takes such a body for an empty one."""

    status_code = 411
    default_code = "length_required"
    default_detail = _lazy("Send the request body with a Content-Length.")


def check_length(request: HttpRequest) -> None:
    """Raise `LengthRequired` for a body of unknown length."""
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired


class BoundedJSONParser(JSONParser):
    """Parses JSON up to `DATA_UPLOAD_MAX_MEMORY_SIZE`, which DRF's parser does not check in every release."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Parse the body as UTF-8 (RFC 8259), whatever charset it claims. Raises `BodyTooLarge` and `ParseError`."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(body) > limit:
            raise BodyTooLarge
        try:
            return json.loads(body.decode(), parse_constant=json.strict_constant if self.strict else None)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        except RecursionError as error:
            raise ParseError(_("The JSON is nested too deeply.")) from error
