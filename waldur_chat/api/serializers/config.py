"""The serializer of what a page shows before anybody has asked anything."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers


@extend_schema_serializer(many=False)
class ChatConfigSerializer(serializers.Serializer[Any]):
    """What everybody may know of the chat."""

    name = serializers.CharField(help_text=_("The name of the assistant."))
    notice = serializers.CharField(
        allow_blank=True, help_text=_("Tells users that they chat with an AI system. To be shown beside the chat.")
    )
    language = serializers.CharField(help_text=_("The language of the response."))
