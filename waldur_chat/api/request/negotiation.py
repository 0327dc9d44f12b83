"""Which format a client is answered in.

DRF negotiates before it authenticates, and answers errors in what it found. So for DRF every response of the API is
JSON, as all its errors are, and the format of an answer is chosen here, once the request is known to be good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from waldur_chat.wire.accept import choose
from waldur_chat.wire.base import Encoder
from waldur_chat.wire.encoders import ENCODERS

MEDIA_TYPES = frozenset({"application/json", *(encoder.media_type for encoder in ENCODERS.values())})
CURRENT_ERA_FIELDS = frozenset({"thread_uuid", "mode"})


class JSONOnly(DefaultContentNegotiation):
    """Takes every `Accept` header for one of JSON, where the view has no other renderers.

    Where a site gives it others, it gets of those what DRF finds; what none of them can is JSON too, or our streams
    would be 406.
    """

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The view's only renderer, or its first one that `Accept` names."""
        first, *others = renderers
        if others:
            with suppress(NotAcceptable, Http404):
                found: tuple[BaseRenderer, str] = super().select_renderer(request, [first, *others], format_suffix)
                return found
        return first, str(first.media_type)


def media_type_with_parameters(request: Request) -> str | None:
    """The media type with most parameters of those that the client accepts and we have; None where none has any."""
    given = [one.strip() for one in request.headers.get("Accept", "").split(",") if ";" in one]
    ours = [one for one in given if one.partition(";")[0].strip().lower() in MEDIA_TYPES]
    return max(ours, key=lambda one: one.count(";"), default=None)


def accepted(request: Request, offered: Sequence[str]) -> str:
    """The offered media type that the client likes best. Raises `NotAcceptable` where it takes none."""
    media_type = choose(request.headers.get("Accept", ""), tuple(offered))
    if media_type is None:
        raise NotAcceptable(_("This can be answered as {types} only.").format(types=", ".join(offered)))
    return media_type


def stream_encoder(request: Request, fields: Collection[str], usual: str) -> type[Encoder]:
    """The format of a stream. Where `Accept` leaves it open, the fields of the body tell which era the client is of.

    `usual` is the format of a client that sent none of the fields of the current era (contract section 2).
    """
    first = ENCODERS["ndjson" if CURRENT_ERA_FIELDS.intersection(fields) else usual]
    offers = {encoder.media_type: encoder for encoder in (first, *ENCODERS.values())}
    return offers[accepted(request, list(offers))]
