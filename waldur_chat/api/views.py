"""The two operations: ask, and get the answer whole or as it is written."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from waldur_chat import chat
from waldur_chat.api import access, probe, rejoining, schema
from waldur_chat.api.base import ChatAPIViewSet
from waldur_chat.api.negotiation import accepted, stream_encoder
from waldur_chat.api.pending import Rejoined, Stream, WholeAnswer, pending
from waldur_chat.api.serializers import ChatInvokeSerializer, ChatRequestSerializer
from waldur_chat.api.throttles import ChatRateThrottle, TokenBudget, TurnLimit
from waldur_chat.engine.source import Source
from waldur_chat.messages import Question
from waldur_chat.record import Caller

TURN_HEADER = "X-Chat-Turn"
THREAD_HEADER = "X-Chat-Thread"


class ChatViewSet(ChatAPIViewSet):
    """The chat API. Requests are checked in this order: user, switches, body, format; then the provider is asked."""

    source: Source | None = None

    def get_throttles(self) -> list[BaseThrottle]:
        """The host's, and one of our own scopes."""
        ours = ChatRateThrottle(f"chat_{self.action}")
        self.limits.append(ours)
        return [ours, *super().get_throttles()]

    def admit(self, request: Request) -> None:
        """See ChatAPIViewSet.admit(). The switches are asked once the user is known."""
        self.chat_settings = chat.load()
        if self.action == "events":  # What one has asked is one's own, whatever is switched off since.
            return
        self.limits.append(TokenBudget())
        if self.chat_settings.turns_per_user is not None:
            self.limits.append(TurnLimit(self.chat_settings.turns_per_user))
        access.check_switches(self.chat_settings, request.user)
        self.chat_settings = probe.applied(request._request, self.chat_settings)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """See APIView.finalize_response(). The head of an answer names its turn and its conversation."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        if self.source:
            finalized[TURN_HEADER] = self.source.id
        if self.source and self.source.thread:
            finalized[THREAD_HEADER] = self.source.thread
        return finalized

    @schema.invoke
    @action(detail=False, methods=["post"])
    def invoke(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the whole answer."""
        question = ChatInvokeSerializer(data=request.data).question()
        accepted(request, ["application/json"])
        return pending(self, self._source(question), WholeAnswer())

    @schema.stream
    @action(detail=False, methods=["post"])
    def stream(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the answer as it is written."""
        question = ChatRequestSerializer(data=request.data).question()
        encoder = stream_encoder(request, request.data, self.chat_settings.stream_format)
        return pending(self, self._source(question), Stream(encoder, self.chat_settings))

    @schema.events
    @action(detail=False, methods=["get"], url_path="turns/(?P<uuid>[^/]+)/events", url_name="events")
    def events(self, request: Request, uuid: str, **kwargs: Any) -> HttpResponse:
        """Come back to an answer: what is missing of it at once, the rest as it is written."""
        position = rejoining.position(request)
        encoder = stream_encoder(request, (), self.chat_settings.stream_format)
        self.source = rejoining.view(request.user, uuid, position)
        if rejoining.has_everything(position):
            return HttpResponse(status=204)
        return pending(self, self.source, Rejoined(encoder, self.chat_settings))

    def _source(self, question: Question) -> Source:
        """The turn of this question, or that of the same request before; one of the doctor's leaves nothing behind."""
        caller = Caller(user_id=str(self.request.user.pk), request_id=self.request_id)
        user = None if probe.HEADER in self.request.headers else self.request.user
        key = rejoining.idempotency_key(self.request)
        self.source = chat.open_turn(question, self.chat_settings, caller, user, key)
        return self.source
