"""Messages: listed, rated, written and edited without asking (contract section 2)."""

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
from waldur_chat.errors import QuestionRefused, ThreadNotFound
from waldur_chat.models import Message, Thread
from waldur_chat.store.conversations import messages, threads
from waldur_chat.store.turns.position import NOT_THE_LAST


class MessageViewSet(ResourceViewSet):
    """The messages of a user's conversations; staff and support read those of others too."""

    serializer_class = MessageSerializer

    def get_queryset(self) -> QuerySet[Message]:
        """What may be read; permissions of a site's that go by models, ask for it."""
        return messages.visible_to(self.request.user)

    @operation("chat_messages_list", "List messages", MessageSerializer(many=True), 400, parameters=[
        MessageQuery, THREAD
    ])  # fmt: skip
    def list(self, request: Request, **kwargs: Any) -> Response:
        """All messages of a conversation as they were said, or the newest 1000 of all conversations."""
        query = MessageQuery.of(request)
        found = self._wanted(query)
        return self._all_of(messages.in_order(found) if "thread" in query else messages.newest(found))

    @operation("chat_messages_create", "Write a message", MessageSerializer, 404, 409, status=201,
               request=MessageSerializer)  # fmt: skip
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Write what the user says, or with `replaces` say the last message anew; nobody answers."""
        check_storage()
        said = self.validated()
        thread = threads.owned_by(request.user).filter(uuid=said["thread_uuid"]).first()
        if thread is None:
            raise ThreadNotFound
        written = messages.write_user_message(
            thread.pk, said["text"], self._replaced(thread, said.get("replaces_uuid"))
        )
        return self.one(written, 201)

    @operation("chat_messages_retrieve", "Show a message", MessageSerializer, 404, parameters=[UUID_IN_PATH])
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """One message."""
        message = self.find(messages.visible_to(request.user))
        messages.record_reading([message], request.user)
        return self.one(message)

    @operation("chat_messages_history_list", "List the versions of a message", MessageSerializer(many=True), 404,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["get"])
    def history(self, request: Request, **kwargs: Any) -> Response:
        """All versions of a message, oldest first."""
        return self._all_of(messages.versions(self.find(messages.visible_to(request.user))))

    @operation("chat_messages_edit", "Edit a message", MessageSerializer, 404, 409, request=MessageEditSerializer,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["post"])
    def edit(self, request: Request, **kwargs: Any) -> Response:
        """Say the last message of the user anew. It gives the new version; nobody answers."""
        check_storage()
        message = self.find(messages.owned_by(request.user))
        text = self.validated(MessageEditSerializer)["content"]
        return self.one(messages.write_user_message(message.thread_id, text, message))

    @operation("chat_messages_feedback", "Rate an answer", MessageSerializer, 404, request=MessageFeedbackSerializer,
               parameters=[UUID_IN_PATH])  # fmt: skip
    @action(detail=True, methods=["post"])
    def feedback(self, request: Request, **kwargs: Any) -> Response:
        """Say whether an answer was good. That takes the place of what was said before."""
        message = self.find(messages.owned_by(request.user))
        said = self.validated(MessageFeedbackSerializer)
        words = {name: said.get(name) or "" for name in ("comment", "category")}
        return self.one(messages.rate(message, score=said["score"], **words))

    def _wanted(self, query: dict[str, Any]) -> QuerySet[Message]:
        """The messages that are looked for. Who does not see a guard's judgement cannot look for it either."""
        columns = {"thread": "thread__uuid", "is_flagged": "is_flagged", "feedback_score": "feedback_score"}
        wanted = {column: query[name] for name, column in columns.items() if name in query}
        found = messages.visible_to(self.request.user)
        if not users.sees_all(self.request.user) and wanted.pop("is_flagged", False):
            found = found.none()
        found = found.filter(**wanted)
        return found if query.get("include_history") else messages.only_current(found)

    def _all_of(self, found: QuerySet[Message]) -> Response:
        """The answer that shows all of these. A bare array, with their number in the head."""
        listed = list(found)
        messages.record_reading(listed, self.request.user)
        shown = self.get_serializer(listed, many=True).data
        return Response(shown, headers={COUNT_HEADER: str(len(listed))})

    def _replaced(self, thread: Thread, uuid: UUID | None) -> Message | None:
        """The message of this conversation that is to be replaced."""
        if uuid is None:
            return None
        message: Message | None = messages.owned_by(self.request.user).filter(thread=thread.pk, uuid=uuid).first()
        if message is None:
            raise QuestionRefused("replaces", NOT_THE_LAST)
        return message
