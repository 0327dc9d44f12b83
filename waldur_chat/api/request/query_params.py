"""Query parameters as serializers, which describe them in the OpenAPI document as well.

An invalid value is a 400 under the parameter's name. Unknown parameters are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import ISO_8601, serializers
from rest_framework.request import Request

from waldur_chat.api.serializers.fields import UUIDField
from waldur_chat.models import ToolCall
from waldur_chat.models.conversations import Severity
from waldur_chat.store.conversations.thread_filters import ThreadFilter

TOKENS = ("input_tokens", "output_tokens", "total_tokens")
ORDERS = ("created", "modified", *TOKENS, "models_used")
_BIGGEST = 2.0**62


class WordsField(serializers.ListField):
    """Words of a given set, in repeated parameters or separated by commas."""

    def __init__(self, words: Iterable[str], **options: Any) -> None:
        super().__init__(child=serializers.ChoiceField(list(words)), **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        return super().to_internal_value([word.strip() for part in data for word in part.split(",")])


class NumberField(serializers.FloatField):
    """A number of tokens, which clients send as a float."""

    def to_internal_value(self, data: Any) -> float:
        """Parse a finite number, and clamp it to what a database column can hold."""
        if data.strip().lower().lstrip("+-").startswith(("inf", "nan")):
            self.fail("invalid")
        return max(-1.0, min(super().to_internal_value(data), _BIGGEST))


class QuerySerializer(serializers.Serializer[Any]):
    """The parameters of one kind of list."""

    @classmethod
    def of(cls, request: Request) -> dict[str, Any]:
        """The validated parameters of the request. Raises `ValidationError`."""
        params = request.query_params
        names = {name: isinstance(field, WordsField) for name, field in cls().fields.items() if name in params}
        query = cls(data={name: params.getlist(name) if is_list else params[name] for name, is_list in names.items()})
        query.is_valid(raise_exception=True)
        return dict(query.validated_data)


def _day(help_text: Any) -> Any:
    return serializers.DateField(required=False, input_formats=[ISO_8601], help_text=help_text)


def _number(help_text: Any) -> Any:
    return NumberField(required=False, help_text=help_text)


class ThreadQuery(QuerySerializer):
    """Filters and order of threads."""

    created = _day(_("Begun on this day."))
    created_after = _day(_("Begun on this day or later."))
    created_before = _day(_("Begun on this day or earlier."))
    modified = _day(_("Last used on this day."))
    modified_after = _day(_("Last used on this day or later."))
    modified_before = _day(_("Last used on this day or earlier."))
    has_feedback = serializers.BooleanField(required=False, help_text=_("Whether an answer was rated."))
    is_archived = serializers.BooleanField(required=False, help_text=_("Whether it is archived."))
    is_flagged = serializers.BooleanField(required=False, help_text=_("Whether a guard flagged a message of it."))
    max_severity = serializers.ChoiceField(
        list(Severity.values), required=False, help_text=_("The worst that a guard found in it.")
    )
    input_tokens_min = _number(_("At least as many input tokens."))
    input_tokens_max = _number(_("At most as many input tokens."))
    output_tokens_min = _number(_("At least as many output tokens."))
    output_tokens_max = _number(_("At most as many output tokens."))
    total_tokens_min = _number(_("At least as many tokens."))
    total_tokens_max = _number(_("At most as many tokens."))
    query = serializers.CharField(
        required=False, allow_blank=True, help_text=_("What its name, owner or messages have in them.")
    )
    scope = serializers.ChoiceField(["own"], required=False, help_text=_("One's own only, for staff and support."))
    user = UUIDField(required=False, help_text=_("Its owner."))
    o = WordsField([*ORDERS, *(f"-{name}" for name in ORDERS)], required=False, help_text=_("The order."))


class ToolCallQuery(QuerySerializer):
    """Filters of calls of tools."""

    thread = UUIDField(required=False, help_text=_("Their conversation."))
    status = serializers.ChoiceField(list(ToolCall.Status.values), required=False, help_text=_("Their status."))


class MessageQuery(QuerySerializer):
    """Filters of messages."""

    thread = UUIDField(required=False, help_text=_("The conversation; without it the newest messages are listed."))
    include_history = serializers.BooleanField(
        required=False, help_text=_("Whether versions that were replaced are listed too.")
    )
    is_flagged = serializers.BooleanField(required=False, help_text=_("Whether a guard flagged it."))
    feedback_score = serializers.BooleanField(required=False, help_text=_("How it was rated."))


def thread_filter(query: dict[str, Any]) -> ThreadFilter:
    """The filter that a validated `ThreadQuery` describes."""
    return ThreadFilter(
        created_after=_latest(query, "created", "created_after"),
        created_before=_earliest(query, "created", "created_before"),
        modified_after=_latest(query, "modified", "modified_after"),
        modified_before=_earliest(query, "modified", "modified_before"),
        has_feedback=query.get("has_feedback"),
        is_archived=query.get("is_archived"),
        is_flagged=query.get("is_flagged"),
        max_severity=query.get("max_severity", ""),
        minima={name: math.ceil(query[f"{name}_min"]) for name in TOKENS if f"{name}_min" in query},
        maxima={name: math.floor(query[f"{name}_max"]) for name in TOKENS if f"{name}_max" in query},
        query=query.get("query", ""),
        user=query.get("user"),
    )


def requested_fields(request: Request, serializer_class: Any) -> frozenset[str]:
    """The names in the parameter `field`; empty means all. Raises `ValidationError` for an unknown name."""
    names = request.query_params.getlist("field")
    if unknown := sorted(set(names) - set(serializer_class().fields)):
        raise serializers.ValidationError({"field": [_("There is no field {name}.").format(name=unknown[0])]})
    return frozenset(names)


def _latest(query: dict[str, Any], *names: str) -> date | None:
    return max((query[name] for name in names if name in query), default=None)


def _earliest(query: dict[str, Any], *names: str) -> date | None:
    return min((query[name] for name in names if name in query), default=None)
