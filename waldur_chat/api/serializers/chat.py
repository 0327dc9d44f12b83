"""What clients send (contract section 1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.utils.serializer_helpers import BindingDict
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from waldur_chat import conf
from waldur_chat.messages import Question

INPUT_HELP = "User input text for the chat model."
THREAD_HELP = "The conversation to go on with; without it a new one begins."
MODE_HELP = "`reload`: replace the last answer. `edit`: replace the last message of the user, and answer it."
NAME_HELP = "Store nothing but the answer, as the name of this conversation (clients of release 8.0.2)."
EDIT_HELP = "The message to edit; with the mode `edit` only."


class _NoSurrogates(ProhibitSurrogateCharactersValidator):
    """DRF's own looks at each character in turn, which takes longer for a long text than all the rest of a request."""

    def __call__(self, value: Any) -> None:
        """Raise `ValidationError` for text that cannot be written as UTF-8."""
        try:
            value.encode()
        except UnicodeEncodeError:
            super().__call__(value)


class TextField(serializers.CharField):
    """Text and nothing else, measured as it was sent; DRF's own field takes numbers, and measures what it trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        slow = ProhibitSurrogateCharactersValidator
        self.validators = [_NoSurrogates() if type(one) is slow else one for one in self.validators]

    def to_internal_value(self, data: Any) -> str:
        """See CharField.to_internal_value()."""
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class ChatRequestSerializer(serializers.Serializer[Any]):
    """A question, and where in which conversation it stands. Fields that are not named here are ignored."""

    def __repr__(self) -> str:
        """The class alone: DRF's own shows what was sent, on error pages and in their reports."""
        return f"<{type(self).__name__}>"

    @property
    def fields(self) -> BindingDict:
        """See Serializer.fields. They are made once for each limit on the length, which is a setting."""
        return _fields(type(self), conf.site_value("INPUT_MAX_LENGTH"))

    @classmethod
    def make_fields(cls, input_max_length: int) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """New ones by name."""
        return {
            "input": TextField(max_length=input_max_length, help_text=INPUT_HELP),
            "thread_uuid": serializers.UUIDField(required=False, allow_null=True, help_text=THREAD_HELP),
            "mode": serializers.ChoiceField(["reload", "edit"], required=False, allow_null=True, help_text=MODE_HELP),
            "edit_message_uuid": serializers.UUIDField(required=False, allow_null=True, help_text=EDIT_HELP),
            "update_thread_name": serializers.UUIDField(required=False, allow_null=True, help_text=NAME_HELP),
        }

    def run_validators(self, value: Any) -> None:
        """See Serializer.run_validators(). There are none; DRF would look for fields that are only read first."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The fields must fit each other (contract section 2)."""
        thread, mode, edited = (attrs.get(name) for name in ("thread_uuid", "mode", "edit_message_uuid"))
        problems = {}
        if not conf.site_value("STORAGE"):
            asked = [name for name in ("thread_uuid", "mode") if attrs.get(name)]
            problems = dict.fromkeys(asked, _("This site stores no conversations."))
        elif mode and not thread:
            problems["mode"] = _("Give the thread_uuid of the conversation too.")
        elif mode == "edit" and not edited:
            problems["edit_message_uuid"] = _("Give the UUID of the message to edit.")
        elif mode == "edit" and not attrs.get("input"):
            problems["input"] = _("Give the new text of the message.")
        if edited and mode != "edit":
            problems["edit_message_uuid"] = _("This goes with the mode edit only.")
        if problems:
            raise serializers.ValidationError(problems)
        return attrs

    def question(self) -> Question:
        """What was asked; of data that is valid."""
        data = self.validated_data
        return Question(
            text=data.get("input"),
            thread=data.get("thread_uuid"),
            mode=data.get("mode") or "",
            edited=data.get("edit_message_uuid"),
            names=data.get("update_thread_name") if conf.site_value("STORAGE") else None,
        )


class ChatInvokeSerializer(ChatRequestSerializer):
    """A question, or none: then the assistant opens the conversation."""

    @classmethod
    def make_fields(cls, input_max_length: int) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """See ChatRequestSerializer.make_fields()."""
        fields = super().make_fields(input_max_length)
        fields["input"].required = False
        return fields


@lru_cache(maxsize=8)
def _fields(kind: type[ChatRequestSerializer], input_max_length: int) -> BindingDict:
    """Those of a serializer without data, which keep nothing of what they validate."""
    fields = BindingDict(kind())
    for name, field in kind.make_fields(input_max_length).items():
        fields[name] = field
    return fields


class ChatErrorSerializer(serializers.Serializer[Any]):
    """What went wrong: a sentence for people and a code for programs."""

    detail = serializers.CharField(help_text=_("What went wrong, in the language of the request."))
    code = serializers.CharField(help_text=_("The same in one word, for programs."))
    retry_after = serializers.IntegerField(
        required=False, help_text=_("Seconds after which to try again, as `Retry-After` has it; with 429 and 503.")
    )
