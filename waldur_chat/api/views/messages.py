"""Messages: list, show, write, edit and rate. None of these asks the model (contract section 2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat import users
from waldur_chat.api.openapi.operations import THREAD, UUID_IN_PATH, operation
from waldur_chat.api.request.pagination import COUNT_HEADER
from waldur_chat.api.request.query_params import MessageQuery
from waldur_chat.api.request.storage import check_storage
from waldur_chat.api.serializers.messages import MessageEditSerializer, MessageFeedbackSerializer, MessageSerializer
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.errors import InvalidQuestion, ThreadNotFound
from waldur_chat.models import Message, Thread
from waldur_chat.store.conversations import messages, threads
from waldur_chat.store.turns.position import NOT_THE_LAST


class MessageViewSet(ResourceViewSet):
    """The messages of a user's threads; staff and support can also read those of other users."""

    serializer_class = MessageSerializer

    def get_queryset(self) -> QuerySet[Message]:
        """The rows that the user may read. DRF's model permissions, if a site adds them, take the model from it."""
        return messages.visible_to(self.request.user)

    @operation("chat_messages_list", "List messages", MessageSerializer(many=True), 400, parameters=[
        MessageQuery, THREAD
    ])  # fmt: skip
    def list(self, request: Request, **kwargs: Any) -> Response:
        """All messages of a conversation in their order, or the newest 1000 of all conversations."""
        query = MessageQuery.of(request)
        matching = self._filtered(query)
        return self._list_response(messages.in_order(matching) if "thread" in query else messages.newest(matching))

    @operation("chat_messages_create", "Write a message", MessageSerializer, 404, 409, status=201,
               request=MessageSerializer)  # fmt: skip
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Write a message of the user, or with `replaces` a new version of the last one. The model does not answer."""
        check_storage()
        data = self.validated()
        thread = threads.owned_by(request.user).filter(uuid=data["thread_uuid"]).first()
        if thread is None:
            raise ThreadNotFound
        message = messages.write_user_message(
            thread.pk, data["text"], self._replaced(thread, data.get("replaces_uuid"))
        )
        return self.one(message, 201)

    @operation("chat_messages_retrieve", "Show a message", MessageSerializer, 404, parameters=[UUID_IN_PATH])
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """One message."""
        message = self.find(messages.visible_to(request.user))
        messages.record_reading([message], self.reader)
        return self.one(message)

    @operation("chat_messages_history_list", "List the versions of a message", MessageSerializer(many=True), 404,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["get"])
    def history(self, request: Request, **kwargs: Any) -> Response:
        """All versions of a message, oldest first."""
        return self._list_response(messages.versions(self.find(messages.visible_to(request.user))))

    @operation("chat_messages_edit", "Edit a message", MessageSerializer, 404, 409, request=MessageEditSerializer,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["post"])
    def edit(self, request: Request, **kwargs: Any) -> Response:
        """Write a new version of the user's last message, and return it. The model does not answer."""
        check_storage()
        message = self.find(messages.owned_by(request.user))
        text = self.validated(MessageEditSerializer)["content"]
        return self.one(messages.write_user_message(message.thread_id, text, message))

    @operation("chat_messages_feedback", "Rate an answer", MessageSerializer, 404, request=MessageFeedbackSerializer,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["post"])
    def feedback(self, request: Request, **kwargs: Any) -> Response:
        """Rate an answer. A new rating replaces the earlier one."""
        message = self.find(messages.owned_by(request.user))
        data = self.validated(MessageFeedbackSerializer)
        texts = {name: data.get(name) or "" for name in ("comment", "category")}
        return self.one(messages.rate(message, score=data["score"], **texts))

    def _filtered(self, query: dict[str, Any]) -> QuerySet[Message]:
        """The messages that match. A user who does not see a guard's judgement cannot filter by it either."""
        columns = {"thread": "thread__uuid", "is_flagged": "is_flagged", "feedback_score": "feedback_score"}
        conditions = {column: query[name] for name, column in columns.items() if name in query}
        matching = messages.visible_to(self.request.user)
        if not users.sees_all(self.request.user) and conditions.pop("is_flagged", False):
            matching = matching.none()
        matching = matching.filter(**conditions)
        return matching if query.get("include_history") else messages.only_current(matching)

    def _list_response(self, matching: QuerySet[Message]) -> Response:
        """All of these messages as a bare array, with their number in a header. Writes the audit entries."""
        rows = list(matching)
        messages.record_reading(rows, self.reader)
        data = self.get_serializer(rows, many=True).data
        return Response(data, headers={COUNT_HEADER: str(len(rows))})

    def _replaced(self, thread: Thread, uuid: UUID | None) -> Message | None:
        """The message of this thread that is to be replaced; None without a UUID. Raises `InvalidQuestion`."""
        if uuid is None:
            return None
        message: Message | None = messages.owned_by(self.request.user).filter(thread=thread.pk, uuid=uuid).first()
        if message is None:
            raise InvalidQuestion("replaces", NOT_THE_LAST)
        return message
