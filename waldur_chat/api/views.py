"""The two operations: ask, and get the answer whole or as it is written."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from waldur_chat import chat
from waldur_chat.api import access, schema
from waldur_chat.api.negotiation import JSONOnly, accepted, stream_encoder
from waldur_chat.api.parsers import BoundedJSONParser, check_length
from waldur_chat.api.pending import Stream, WholeAnswer, pending
from waldur_chat.api.problems import add_code, as_api_exception
from waldur_chat.api.serializers import ChatInvokeSerializer, ChatRequestSerializer


class ChatViewSet(ViewSet):
    """The chat API. Requests are checked in this order: user, switches, body, format; then the provider is asked.

    Routers may hand over the suffix of a format (`stream.json`); it says nothing that `Accept` does not say.
    """

    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = JSONOnly

    def get_authenticators(self) -> list[BaseAuthentication]:
        """See access.authenticators()."""
        return list(access.authenticators())

    def get_permissions(self) -> list[BasePermission]:
        """See access.permissions()."""
        return list(access.permissions())

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the user, then the switches; both before the body is read."""
        super().initial(request, *args, **kwargs)
        self.chat_settings = chat.load()
        access.check_switches(self.chat_settings, request.user)
        check_length(request._request)

    def handle_exception(self, exc: Exception) -> Response:
        """See APIView.handle_exception(); ours become DRF's, and all get a code."""
        error = as_api_exception(exc)
        response = super().handle_exception(error)
        add_code(response, error)
        return response

    @schema.invoke
    @action(detail=False, methods=["post"])
    def invoke(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the whole answer."""
        serializer = ChatInvokeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        accepted(request, ["application/json"])
        turn = chat.prepare(serializer.validated_data.get("input"), self.chat_settings)
        return pending(self, turn, WholeAnswer())

    @schema.stream
    @action(detail=False, methods=["post"])
    def stream(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the answer as it is written."""
        serializer = ChatRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        encoder = stream_encoder(request, request.data, self.chat_settings.stream_format)
        turn = chat.prepare(serializer.validated_data["input"], self.chat_settings)
        return pending(self, turn, Stream(encoder, self.chat_settings))
