"""The two operations: ask, and get the answer whole or as it is written."""

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
from waldur_chat.api.request.negotiation import accepted, stream_encoder
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
    """The chat API. Requests are checked in this order: user, switches, body, format; then the provider is asked.

    A site's subclass may have another `serializer_class`, which is one of `ChatRequestSerializer`.
    """

    serializer_class = ChatRequestSerializer
    throttle_classes = throttle_classes()
    filter_backends = []
    pagination_class = None

    _named: Mapping[str, str] = MappingProxyType({})
    """The head's fields that name turn and conversation."""

    def get_throttles(self) -> list[BaseThrottle]:
        """See APIView.get_throttles(). The head of the answer tells of ours."""
        throttles = list(super().get_throttles())
        self.limits += [one for one in throttles if isinstance(one, ChatRateThrottle)]
        return throttles

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """See GenericAPIView.get_serializer(). `invoke` reads the same body, but needs no input."""
        kind: Any = self.get_serializer_class()
        kwargs.setdefault("context", self.get_serializer_context())
        return (with_optional_input(kind) if self.action == "invoke" else kind)(*args, **kwargs)

    def admit(self, request: Request) -> None:
        """See ChatAPIViewSet.admit(). The switches are asked once the user is known."""
        self.chat_settings = chat.load()
        if self.action == "events":  # What one has asked is one's own, whatever is switched off since.
            return
        self.limits.append(TokenBudget())
        if self.chat_settings.turns_per_user is not None and users.is_known(request.user):
            self.limits.append(TurnLimit(self.chat_settings.turns_per_user))
        auth.check_switches(self.chat_settings, request.user)
        self.chat_settings = doctor_probe.applied(request._request, self.chat_settings)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """See APIView.finalize_response(). The head of an answer names its turn and its conversation.

        It is made once, when the answer is known.
        """
        if isinstance(response, DeferredResponse):
            return response
        finalized = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self._named.items():
            finalized[name] = value
        return finalized

    @chat_openapi.invoke
    @action(detail=False, methods=["post"])
    def invoke(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the whole answer."""
        question = self._question(request)
        accepted(request, ["application/json"])
        return deferred(self, self._source(question), JsonAnswer())

    @chat_openapi.stream
    @action(detail=False, methods=["post"])
    def stream(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Ask, and get the answer as it is written."""
        question = self._question(request)
        encoder = stream_encoder(request, request.data, self.chat_settings.stream_format)
        return deferred(self, self._source(question), EventStream(encoder, self.chat_settings))

    @chat_openapi.events
    @action(detail=False, methods=["get"], url_path="turns/(?P<uuid>[^/]+)/events", url_name="events")
    def events(self, request: Request, uuid: str, **kwargs: Any) -> HttpResponse:
        """Come back to an answer: what is missing of it at once, the rest as it is written."""
        position = resume.position(request)
        encoder = stream_encoder(request, (), self.chat_settings.stream_format)
        source = self._noted(resume.view(request.user, uuid, position))
        if resume.has_everything(position):
            return HttpResponse(status=204)
        return deferred(self, source, ResumedStream(encoder, self.chat_settings))

    def _question(self, request: Request) -> Question:
        """What the body asks. Raises `ValidationError`."""
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        question: Question = serializer.question()
        return question

    def _source(self, question: Question) -> EventSource:
        """The turn of this question, or that of the same request before; one of the doctor's leaves nothing behind."""
        user_id = str(self.request.user.pk) if users.is_known(self.request.user) else ""
        caller = Caller(user_id=user_id, request_id=self.request_id)
        user = None if doctor_probe.HEADER in self.request.headers else self.request.user
        key = resume.idempotency_key(self.request)
        return self._noted(chat.open_turn(question, self.chat_settings, caller, user, key))

    def _noted(self, source: EventSource) -> EventSource:
        """The same, once noted what the head will name."""
        fields = {TURN_HEADER: source.id, THREAD_HEADER: source.thread}
        self._named = {name: value for name, value in fields.items() if value}
        return source
