"""Calls of tools, and those that wait for their user: list, show, approve, deny."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from waldur_chat import users
from waldur_chat.api.openapi import tools as tools_openapi
from waldur_chat.api.openapi.operations import PAGES, UUID_IN_PATH, operation
from waldur_chat.api.request.negotiation import stream_encoder
from waldur_chat.api.request.query_params import ToolCallQuery
from waldur_chat.api.responses.deferred import EventStream, deferred
from waldur_chat.api.serializers.fields import uuid_from
from waldur_chat.api.serializers.tools import ToolCallResultSerializer, ToolCallSerializer
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.api.views.turns import TurnViewSet
from waldur_chat.errors import ToolCallNotFound
from waldur_chat.messages import Decision, Question
from waldur_chat.models import ToolCall
from waldur_chat.store.turns.approvals import calls, decisions


class ToolCallViewSet(TurnViewSet, ResourceViewSet):
    """The calls that models have made for the user, who alone may decide on them: staff and support may not."""

    serializer_class = ToolCallSerializer
    actions_without_switches = ("list", "retrieve")

    def get_throttles(self) -> list[BaseThrottle]:
        """The throttles of chat requests for what lets an answer go on."""
        return (
            ChatAPIViewSet.get_throttles(self)
            if self.action in self.actions_without_switches
            else super().get_throttles()
        )

    def get_queryset(self) -> QuerySet[ToolCall]:
        """The rows that the user may read. DRF's model permissions, if a site adds them, take the model from it."""
        return calls.owned_by(self.request.user) if users.is_known(self.request.user) else ToolCall.objects.none()

    @operation("chat_tool_calls_list", "List calls of tools", ToolCallSerializer(many=True), 400, parameters=[
        ToolCallQuery, *PAGES
    ], tags=["chat-tool-calls"])  # fmt: skip
    def list(self, request: Request, **kwargs: Any) -> Response:
        """A page of the user's own calls, the newest first."""
        query = ToolCallQuery.of(request)
        matching = self.get_queryset()
        if "thread" in query:
            matching = matching.filter(thread__uuid=query["thread"])
        return self.page_of(calls.with_status(matching, query["status"]) if "status" in query else matching)

    @operation("chat_tool_calls_retrieve", "Show a call of a tool", ToolCallResultSerializer, 404, parameters=[
        UUID_IN_PATH
    ], tags=["chat-tool-calls"])  # fmt: skip
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """One of the user's own calls, with what the model was told of it."""
        call = self.find(self.get_queryset())
        return Response(ToolCallResultSerializer(call, context=self.get_serializer_context()).data)

    @tools_openapi.approve
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Let the call run, and stream the rest of the answer. A body is not read."""
        return self._decide(is_approved=True)

    @tools_openapi.deny
    @action(detail=True, methods=["post"])
    def deny(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Refuse the call, and stream the rest of the answer. A body is not read."""
        return self._decide(is_approved=False)

    def _decide(self, *, is_approved: bool) -> HttpResponseBase:
        """The rest of the answer, or the call if others of the same answer still wait."""
        if users.impersonator_of(self.request):
            raise PermissionDenied(_("Only the user themselves may decide on a call."))
        encoder = stream_encoder(self.request, (), self.chat_settings.stream_format)
        uuid = uuid_from(self.kwargs["uuid"])
        if uuid is None:
            raise ToolCallNotFound
        decision = Decision(call=uuid, is_approved=is_approved)
        thread = calls.find(self.request.user, uuid).thread_uuid  # type: ignore[attr-defined]
        if decided := decisions.decide_one_of_several(self.request.user, decision):
            return self.one(decided)
        source = self._source(Question(thread=thread, decision=decision))
        return deferred(self, source, EventStream(encoder, self.chat_settings))
