"""Serializers of a question, and of errors (contract section 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from waldur_chat import conf
from waldur_chat.messages import Question

INPUT_HELP = "User input text for the chat model."
THREAD_HELP = "The conversation to go on with; without it a new one begins."
MODE_HELP = "`reload`: replace the last answer. `edit`: replace the last message of the user, and answer it."
NAME_HELP = "Store nothing but the answer, as the name of this conversation (clients of release 8.0.2)."
EDIT_HELP = "The message to edit; with the mode `edit` only."

METADATA_MAX_BYTES = 4096
"""The size limit of all additional fields of a site together, as JSON in UTF-8."""


class _NoSurrogates(ProhibitSurrogateCharactersValidator):
    """A fast check. DRF's validator loops over the characters, which for a long text dominates the whole request."""

    def __call__(self, value: Any) -> None:
        """Raise `ValidationError` for text that cannot be written as UTF-8."""
        try:
            value.encode()
        except UnicodeEncodeError:
            super().__call__(value)


class TextField(serializers.CharField):
    """Accepts only strings, and limits the length before trimming. DRF's field accepts numbers and trims first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        slow = ProhibitSurrogateCharactersValidator
        self.validators = [_NoSurrogates() if type(one) is slow else one for one in self.validators]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class InputField(TextField):
    """The user's text. Its limit is `INPUT_MAX_LENGTH` at the time when a serializer creates its fields."""

    def bind(self, field_name: str, parent: Any) -> None:
        super().bind(field_name, parent)
        if self.max_length is None:
            self.max_length = int(conf.site_value("INPUT_MAX_LENGTH"))
            self.validators.append(
                MaxLengthValidator(self.max_length)
            )  # drf-spectacular reads the limit from the validator.


class ChatRequestSerializer(serializers.Serializer[Any]):
    """A question, and its place in a conversation. Unknown fields are ignored."""

    input = InputField(help_text=INPUT_HELP)
    thread_uuid = serializers.UUIDField(required=False, allow_null=True, help_text=THREAD_HELP)
    mode = serializers.ChoiceField(["reload", "edit"], required=False, allow_null=True, help_text=MODE_HELP)
    edit_message_uuid = serializers.UUIDField(required=False, allow_null=True, help_text=EDIT_HELP)
    update_thread_name = serializers.UUIDField(required=False, allow_null=True, help_text=NAME_HELP)

    def __repr__(self) -> str:
        """The class only. DRF's repr contains the request data, which error pages and reports would show."""
        return f"<{type(self).__name__}>"

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the combination of the fields (contract section 2)."""
        thread, mode, edited = (attrs.get(name) for name in ("thread_uuid", "mode", "edit_message_uuid"))
        problems = {}
        if not conf.site_value("STORAGE"):
            unsupported = [name for name in ("thread_uuid", "mode") if attrs.get(name)]
            problems = dict.fromkeys(unsupported, _("This site stores no conversations."))
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
        """The validated data as a `Question`. Additional fields of a subclass become its `metadata`.

        Raises `ValidationError` if these cannot be written as JSON, or are too long.
        """
        data = self.validated_data
        return Question(
            text=data.get("input"),
            thread=data.get("thread_uuid"),
            mode=data.get("mode") or "",
            edited=data.get("edit_message_uuid"),
            names=data.get("update_thread_name") if conf.site_value("STORAGE") else None,
            metadata=_metadata({name: value for name, value in data.items() if name not in OWN_FIELDS}),
        )


OWN_FIELDS = frozenset(ChatRequestSerializer().get_fields())


class _OptionalInput(serializers.Serializer[Any]):
    """A question, or none: then the assistant opens the conversation."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if "input" in fields:  # A subclass may have none.
            fields["input"].required = False
        return fields


@cache
def with_optional_input(kind: type[ChatRequestSerializer]) -> type[ChatRequestSerializer]:
    """The serializer class for `invoke`: the same fields, `input` optional, and a name of its own for OpenAPI."""
    name = kind.__name__.removesuffix("Serializer").removesuffix("Request")
    attributes = {"__doc__": _OptionalInput.__doc__, "__module__": kind.__module__}
    return type(f"{name}InvokeSerializer", (_OptionalInput, kind), attributes)


class _MetadataEncoder(DjangoJSONEncoder):
    """Encodes the values of DRF's fields. That of a MultipleChoiceField is a set."""

    def default(self, o: Any) -> Any:
        return sorted(o) if isinstance(o, set) else super().default(o)


def _metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as JSON values: UUIDs, times and decimal numbers become strings."""
    if not fields:
        return {}
    try:
        encoded = json.dumps(fields, cls=_MetadataEncoder, ensure_ascii=False, allow_nan=False)
        size = len(encoded.encode())
    except (TypeError, ValueError, RecursionError) as error:  # A ValueError also for text with lone surrogates.
        raise _refused(_("What was sent besides the question cannot be written as JSON.")) from error
    if size > METADATA_MAX_BYTES:
        words = _("What was sent besides the question has {size} bytes; {limit} are allowed.")
        raise _refused(words.format(size=size, limit=METADATA_MAX_BYTES))
    return dict(json.loads(encoded))


def _refused(sentence: Any) -> serializers.ValidationError:
    return serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [sentence]})


class ChatErrorSerializer(serializers.Serializer[Any]):
    """What went wrong: a sentence for people and a code for programs."""

    detail = serializers.CharField(help_text=_("What went wrong, in the language of the request."))
    code = serializers.CharField(help_text=_("The same in one word, for programs."))
    retry_after = serializers.IntegerField(
        required=False,
        help_text=_("Seconds after which to try again, as `Retry-After` has it; with 429, 503 and some 409."),
    )
