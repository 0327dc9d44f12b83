"""The two operations: ask, and get the answer whole or as it is written."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.viewsets import ViewSet

from waldur_chat import chat
from waldur_chat.api import access, probe, schema
from waldur_chat.api.negotiation import JSONOnly, accepted, stream_encoder
from waldur_chat.api.parsers import BoundedJSONParser, check_length
from waldur_chat.api.pending import Stream, WholeAnswer, pending
from waldur_chat.api.problems import as_api_exception, complete
from waldur_chat.api.request_ids import HEADER, request_id
from waldur_chat.api.serializers import ChatInvokeSerializer, ChatRequestSerializer
from waldur_chat.api.throttles import ChatRateThrottle, TurnLimit, limit_headers
from waldur_chat.record import Caller


class ChatViewSet(ViewSet):
    """The chat API. Requests are checked in this order: user, switches, body, format; then the provider is asked.

    Routers may hand over the suffix of a format (`stream.json`); it says nothing that `Accept` does not say.
    """

    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = JSONOnly

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """See APIView.initialize_request()."""
        self.request_id = request_id(request)
        self.limits: list[ChatRateThrottle | TurnLimit] = []
        self.refusal: Exception | None = None
        return super().initialize_request(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """See access.authenticators()."""
        return list(access.authenticators())

    def get_permissions(self) -> list[BasePermission]:
        """See access.permissions()."""
        return list(access.permissions())

    def get_throttles(self) -> list[BaseThrottle]:
        """The host's, and one of our own scopes."""
        ours = ChatRateThrottle(f"chat_{self.action}")
        self.limits.append(ours)
        return [ours, *super().get_throttles()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the user, then the switches; both before the body is read."""
        super().initial(request, *args, **kwargs)
        self.chat_settings = chat.load()
        if self.chat_settings.turns_per_user is not None:
            self.limits.append(TurnLimit(self.chat_settings.turns_per_user))
        access.check_switches(self.chat_settings, request.user)
        self.chat_settings = probe.applied(request._request, self.chat_settings)
        check_length(request._request)

    def handle_exception(self, exc: Exception) -> Response:
        """See APIView.handle_exception(); ours become DRF's, and all get a code."""
        error = as_api_exception(exc)
        response = super().handle_exception(error)
        complete(response, error)
        self.refusal = error
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """See APIView.finalize_response(). Errors and answers have the request's id and the limits in their head."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized[HEADER] = self.request_id
        for name, value in limit_headers(self.limits, self.refusal).items():
            finalized[name] = value
        return finalized

    @schema.invoke
    @action(detail=False, methods=["post"])
    def invoke(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the whole answer."""
        serializer = ChatInvokeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        accepted(request, ["application/json"])
        turn = chat.prepare(serializer.validated_data.get("input"), self.chat_settings, self._caller())
        return pending(self, turn, WholeAnswer())

    @schema.stream
    @action(detail=False, methods=["post"])
    def stream(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the answer as it is written."""
        serializer = ChatRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        encoder = stream_encoder(request, request.data, self.chat_settings.stream_format)
        turn = chat.prepare(serializer.validated_data["input"], self.chat_settings, self._caller())
        return pending(self, turn, Stream(encoder, self.chat_settings))

    def _caller(self) -> Caller:
        return Caller(user_id=str(self.request.user.pk), request_id=self.request_id)
