"""Choose the format of a response.

DRF negotiates before it authenticates, and renders errors in the format that it found. So for DRF every response of the
API is JSON, as all errors are. The format of an answer is chosen here, after the request has been validated.
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
    """Selects JSON for every `Accept` header, unless a site has added renderers to the view.

    Then DRF chooses among these. JSON is the fallback: with a 406 no client could request a stream.
    """

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The view's only renderer, or its first one that `Accept` names."""
        first, *others = renderers
        if others:
            with suppress(NotAcceptable, Http404):
                chosen: tuple[BaseRenderer, str] = super().select_renderer(request, [first, *others], format_suffix)
                return chosen
        return first, str(first.media_type)


def media_type_with_parameters(request: Request) -> str | None:
    """Of the accepted media types that the API has, the one with most parameters; None if none has any."""
    ranges = [one.strip() for one in request.headers.get("Accept", "").split(",") if ";" in one]
    known = [one for one in ranges if one.partition(";")[0].strip().lower() in MEDIA_TYPES]
    return max(known, key=lambda one: one.count(";"), default=None)


def choose_media_type(request: Request, offered: Sequence[str]) -> str:
    """The offered media type that the client prefers. Raises `NotAcceptable` if it accepts none."""
    media_type = choose(request.headers.get("Accept", ""), tuple(offered))
    if media_type is None:
        raise NotAcceptable(_("This can be answered as {types} only.").format(types=", ".join(offered)))
    return media_type


def stream_encoder(request: Request, fields: Collection[str], usual: str) -> type[Encoder]:
    """The format of a stream. If `Accept` leaves the choice open, the fields of the body tell the age of the client.

    Only current clients send `CURRENT_ERA_FIELDS`, and these expect NDJSON. `usual` is the format for older ones
    (contract section 2).
    """
    first = ENCODERS["ndjson" if CURRENT_ERA_FIELDS.intersection(fields) else usual]
    offers = {encoder.media_type: encoder for encoder in (first, *ENCODERS.values())}
    return offers[choose_media_type(request, list(offers))]
