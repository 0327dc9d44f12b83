"""The chat: `invoke`, `stream`, and the events of a turn."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from waldur_chat import chat, users
from waldur_chat.api.openapi import chat as chat_openapi
from waldur_chat.api.request import auth, doctor_probe, resume
from waldur_chat.api.request.negotiation import choose_media_type, stream_encoder
from waldur_chat.api.request.throttles import ChatRateThrottle, TokenBudget, TurnLimit, throttle_classes
from waldur_chat.api.responses.deferred import DeferredResponse, EventStream, JsonAnswer, ResumedStream, deferred
from waldur_chat.api.serializers.chat import ChatRequestSerializer, with_optional_input
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.engine.event_source import EventSource
from waldur_chat.messages import Question
from waldur_chat.record import Caller

TURN_HEADER = "X-Chat-Turn"
THREAD_HEADER = "X-Chat-Thread"


class ChatViewSet(ChatAPIViewSet, GenericAPIView[Any]):
    """The chat API. A request is checked in this order: user, switches, body, format. Then the provider is asked.

    A subclass may set a `serializer_class`, which must be a subclass of `ChatRequestSerializer`.
    """

    serializer_class = ChatRequestSerializer
    throttle_classes = throttle_classes()
    filter_backends = []
    pagination_class = None

    _turn_headers: Mapping[str, str] = MappingProxyType({})
    """The response headers with the ids of turn and thread."""

    def get_throttles(self) -> list[BaseThrottle]:
        """The throttles. Those of this package are described in response headers."""
        throttles = list(super().get_throttles())
        self.limits += [one for one in throttles if isinstance(one, ChatRateThrottle)]
        return throttles

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """The serializer of the action: `invoke` has the same body as `stream`, but `input` is optional."""
        kind: Any = self.get_serializer_class()
        kwargs.setdefault("context", self.get_serializer_context())
        return (with_optional_input(kind) if self.action == "invoke" else kind)(*args, **kwargs)

    def admit(self, request: Request) -> None:
        """Check the switches, which depend on the user."""
        self.chat_settings = chat.load()
        if self.action == "events":
            return  # A user can resume their own turn even if the chat was switched off meanwhile.
        self.limits.append(TokenBudget())
        if self.chat_settings.turns_per_user is not None and users.is_known(request.user):
            self.limits.append(TurnLimit(self.chat_settings.turns_per_user))
        auth.check_switches(self.chat_settings, request.user)
        self.chat_settings = doctor_probe.settings_for(request._request, self.chat_settings)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the ids of turn and thread to the headers. A deferred response is finalized when it is rendered."""
        if isinstance(response, DeferredResponse):
            return response
        finalized = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self._turn_headers.items():
            finalized[name] = value
        return finalized

    @chat_openapi.invoke
    @action(detail=False, methods=["post"])
    def invoke(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask a question, and return the complete answer."""
        question = self._question(request)
        choose_media_type(request, ["application/json"])
        return deferred(self, self._source(question), JsonAnswer())

    @chat_openapi.stream
    @action(detail=False, methods=["post"])
    def stream(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask a question, and stream the answer."""
        question = self._question(request)
        encoder = stream_encoder(request, request.data, self.chat_settings.stream_format)
        return deferred(self, self._source(question), EventStream(encoder, self.chat_settings))

    @chat_openapi.events
    @action(detail=False, methods=["get"], url_path="turns/(?P<uuid>[^/]+)/events", url_name="events")
    def events(self, request: Request, uuid: str, **kwargs: Any) -> HttpResponse:
        """Resume a turn: stream the missing text at once, and the rest as it is written."""
        position = resume.position(request)
        encoder = stream_encoder(request, (), self.chat_settings.stream_format)
        source = self._with_headers_of(resume.subscription(request.user, uuid, position))
        if resume.has_everything(position):
            return HttpResponse(status=204)
        return deferred(self, source, ResumedStream(encoder, self.chat_settings))

    def _question(self, request: Request) -> Question:
        """The validated question. Raises `ValidationError`."""
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        question: Question = serializer.question()
        return question

    def _source(self, question: Question) -> EventSource:
        """The turn of this question, or the earlier one with the same idempotency key. A probe's turn is not stored."""
        user_id = str(self.request.user.pk) if users.is_known(self.request.user) else ""
        caller = Caller(user_id=user_id, request_id=self.request_id)
        user = None if doctor_probe.HEADER in self.request.headers else self.request.user
        key = resume.idempotency_key(self.request)
        return self._with_headers_of(chat.open_turn(question, self.chat_settings, caller, user, key))

    def _with_headers_of(self, source: EventSource) -> EventSource:
        """Return the source, and keep its ids for the response headers."""
        fields = {TURN_HEADER: source.id, THREAD_HEADER: source.thread}
        self._turn_headers = {name: value for name, value in fields.items() if value}
        return source
