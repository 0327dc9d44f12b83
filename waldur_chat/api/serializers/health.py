"""The serializers of what load balancers and orchestrators read."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers


@extend_schema_serializer(many=False)
class ChatHealthSerializer(serializers.Serializer[Any]):
    """A process that is alive."""

    status = serializers.CharField(help_text=_("Always alive."))


@extend_schema_serializer(many=False)
class ChatReadySerializer(serializers.Serializer[Any]):
    """What a process is ready for."""

    status = serializers.CharField(help_text=_("ready or unready, as the status of the response."))
    checks = serializers.DictField(
        child=serializers.CharField(), help_text=_("A word for each check: ok, or what is wrong.")
    )
    details = serializers.DictField(required=False, help_text=_("Details of each check, for staff only."))
