"""What a page shows before anybody has asked anything: the name of the assistant, and the notice."""

from __future__ import annotations

from typing import Any

from django.utils.cache import patch_vary_headers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat import chat, conf
from waldur_chat.api.openapi.chat import config
from waldur_chat.api.serializers.config import ChatConfigSerializer
from waldur_chat.api.views.base import ChatAPIViewSet

CACHE_CONTROL = "private, max-age=60"
"""Private, since a shared cache would have to know how the site chooses the language."""


class ConfigViewSet(ChatAPIViewSet):
    """The public part of the settings. Neither credentials nor rates are read.

    It answers while the chat is switched off too: users then still read their stored answers, beside which the notice
    stands.
    """

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []

    @config
    def list(self, request: Request, **kwargs: Any) -> Response:
        """The name of the assistant, the notice, and the language of the response."""
        settings = chat.load()
        shown = {
            "name": settings.assistant_name,
            "notice": conf.notice_text(settings.notice),
            "language": conf.active_language(),
        }
        response = Response(ChatConfigSerializer(shown).data, headers={"Cache-Control": CACHE_CONTROL})
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response
