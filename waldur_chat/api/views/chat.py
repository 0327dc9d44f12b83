"""The chat: `invoke`, `stream`, and the events of a turn."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from waldur_chat.api.openapi import chat as chat_openapi
from waldur_chat.api.request import resume
from waldur_chat.api.request.negotiation import choose_media_type, stream_encoder
from waldur_chat.api.responses.deferred import EventStream, JsonAnswer, ResumedStream, deferred
from waldur_chat.api.serializers.chat import ChatRequestSerializer, with_optional_input
from waldur_chat.api.views.turns import TurnViewSet
from waldur_chat.messages import Question
from waldur_chat.store.conversations import audit


class ChatViewSet(TurnViewSet):
    """The chat API. A request is checked in this order: user, switches, body, format. Then the provider is asked.

    A subclass may set a `serializer_class`, which must be a subclass of `ChatRequestSerializer`.
    """

    serializer_class = ChatRequestSerializer
    actions_without_switches = ("events",)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """The serializer of the action: `invoke` has the same body as `stream`, but `input` is optional."""
        kind: Any = self.get_serializer_class()
        kwargs.setdefault("context", self.get_serializer_context())
        return (with_optional_input(kind) if self.action == "invoke" else kind)(*args, **kwargs)

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
        audit.record_turn(self.reader, request.user, source.thread)
        return deferred(self, source, ResumedStream(encoder, self.chat_settings))

    def _question(self, request: Request) -> Question:
        """The validated question. Raises `ValidationError`."""
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        question: Question = serializer.question()
        return question
