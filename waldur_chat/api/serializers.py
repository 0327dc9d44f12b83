"""What clients send (contract section 1)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from waldur_chat import conf

INPUT_HELP = "User input text for the chat model."


class TextField(serializers.CharField):
    """Text and nothing else, measured as it was sent; DRF's own field takes numbers, and measures what it trimmed."""

    def to_internal_value(self, data: Any) -> str:
        """See CharField.to_internal_value()."""
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class ChatRequestSerializer(serializers.Serializer[Any]):
    """A question. Fields that are not named here are ignored, whatever they say."""

    def __repr__(self) -> str:
        """The class alone: DRF's own shows what was sent, on error pages and in their reports."""
        return f"<{type(self).__name__}>"

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """The limit on the length is a setting, so the fields are made at each use."""
        return {"input": TextField(max_length=conf.site_value("INPUT_MAX_LENGTH"), help_text=INPUT_HELP)}


class ChatInvokeSerializer(ChatRequestSerializer):
    """A question, or none: then the assistant opens the conversation."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """See ChatRequestSerializer.get_fields()."""
        fields = super().get_fields()
        fields["input"].required = False
        return fields


class ChatErrorSerializer(serializers.Serializer[Any]):
    """What went wrong: a sentence for people and a code for programs."""

    detail = serializers.CharField(help_text=_("What went wrong, in the language of the request."))
    code = serializers.CharField(help_text=_("The same in one word, for programs."))
    retry_after = serializers.IntegerField(
        required=False, help_text=_("Seconds after which to try again, as `Retry-After` has it; with 429 and 503.")
    )
