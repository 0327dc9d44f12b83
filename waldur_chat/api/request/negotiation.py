"""Which format a client is answered in.

DRF negotiates before it authenticates, and answers errors in what it found. So for DRF every response of the API is
JSON, as all its errors are, and the format of an answer is chosen here, once the request is known to be good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from waldur_chat.wire.accept import choose
from waldur_chat.wire.base import Encoder
from waldur_chat.wire.encoders import ENCODERS

CURRENT_ERA_FIELDS = frozenset({"thread_uuid", "mode"})


class JSONOnly(DefaultContentNegotiation):
    """Takes every `Accept` header for one of JSON."""

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The view's only renderer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


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
