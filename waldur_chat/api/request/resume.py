"""Resume a turn: its id, the reader's position, and the idempotency key of a request."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from waldur_chat.api.serializers.fields import uuid_from
from waldur_chat.errors import TurnNotFound
from waldur_chat.store.turns import replays
from waldur_chat.turns.resume import TurnSubscription
from waldur_chat.wire.sse import END

KEY_HEADER = "Idempotency-Key"
KEY_MAX_LENGTH = 255


def position(request: Request) -> int | None:
    """The number of characters that the reader has (`after`, else `Last-Event-ID`); None if they have the end too."""
    given = request.query_params.get("after") or request.headers.get("Last-Event-ID") or "0"
    if given == END.decode():
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise ValidationError({"after": [_("Give the id of the last event that you have.")]})
    return int(given)


def subscription(user: Any, uuid: str, position: int | None) -> TurnSubscription:
    """A subscription to the user's turn. Raises `TurnNotFound`."""
    turn = uuid_from(uuid)
    if turn is None:
        raise TurnNotFound
    return TurnSubscription(replays.find_for_user(user, turn), position or 0)


def has_everything(position: int | None) -> bool:
    """Whether the reader has received the terminal event."""
    return position is None


def idempotency_key(request: Request) -> str:
    """The idempotency key (draft-ietf-httpapi-idempotency-key-header); empty if the request has none."""
    key = request.headers.get(KEY_HEADER, "").strip()
    if len(key) > KEY_MAX_LENGTH:
        raise ValidationError({KEY_HEADER: [_("A key has at most {count} characters.").format(count=KEY_MAX_LENGTH)]})
    return key
