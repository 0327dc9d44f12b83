"""Threads: list, create, rename, archive, cancel and delete (contract section 2)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat import chat, users
from waldur_chat.api.openapi.operations import PAGES, USER, UUID_IN_PATH, fields_of, operation
from waldur_chat.api.request.query_params import ThreadQuery, thread_filter
from waldur_chat.api.request.storage import check_storage
from waldur_chat.api.serializers.threads import ChatThreadStatsResponseSerializer, ThreadSessionSerializer
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.models import Thread
from waldur_chat.store.conversations import audit, deletion, threads
from waldur_chat.store.conversations.thread_filters import filtered, ordered

SHOWN = ThreadSessionSerializer
FIELDS = fields_of(SHOWN)


class ThreadViewSet(ResourceViewSet):
    """The threads of a user; staff and support can also read and archive those of other users."""

    serializer_class = ThreadSessionSerializer

    def get_queryset(self) -> QuerySet[Thread]:
        """The rows that the user may read. DRF's model permissions, if a site adds them, take the model from it."""
        return threads.visible_to(self.request.user)

    @operation("chat_threads_list", "List conversations", SHOWN(many=True), 400, 404, parameters=[
        ThreadQuery, USER, FIELDS, *PAGES
    ])  # fmt: skip
    def list(self, request: Request, **kwargs: Any) -> Response:
        """A page of conversations, the newest first."""
        query = ThreadQuery.of(request)
        return self.page_of(ordered(self._filtered(query), query.get("o", [])))

    @operation("chat_threads_stats_retrieve", "Add up conversations", ChatThreadStatsResponseSerializer, 400,
               parameters=[ThreadQuery, USER])  # fmt: skip
    @action(detail=False, methods=["get"])
    def stats(self, request: Request, **kwargs: Any) -> Response:
        """Totals of all conversations that a list with the same parameters has on its pages."""
        totals = threads.stats(self._filtered(ThreadQuery.of(request)))
        return Response(ChatThreadStatsResponseSerializer(totals).data)

    @operation("chat_threads_create", "Begin a conversation", SHOWN, status=201, request=SHOWN)
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a conversation without messages."""
        check_storage()
        if not users.is_known(request.user):
            self.permission_denied(request)
        return self.one(threads.create(request.user, **self.validated()), 201)

    @operation("chat_threads_retrieve", "Show a conversation", SHOWN, 400, 404, parameters=[UUID_IN_PATH, FIELDS])
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """One conversation, without its messages."""
        thread = self.find(threads.visible_to(request.user))
        audit.record(self.reader, thread, "api")
        return self.one(thread)

    @operation("chat_threads_update", "Rename a conversation", SHOWN, 404, request=SHOWN, parameters=[UUID_IN_PATH])
    def update(self, request: Request, **kwargs: Any) -> Response:
        """Rename, archive or unarchive a conversation. Fields that are not sent stay as they are."""
        return self._change(request)

    @operation("chat_threads_partial_update", "Rename a conversation", SHOWN, 404, request=SHOWN, parameters=[
        UUID_IN_PATH
    ])  # fmt: skip
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Rename, archive or unarchive a conversation. Fields that are not sent stay as they are."""
        return self._change(request)

    @operation("chat_threads_destroy", "Delete a conversation", None, 404, status=204, parameters=[UUID_IN_PATH])
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete a conversation with its messages. A running answer is stopped."""
        thread = self.find(threads.owned_by(request.user))
        chat.cancel_thread(thread)
        deletion.delete(thread)
        return Response(status=204)

    @operation("chat_threads_archive", "Archive a conversation", None, 404, status=204, parameters=[UUID_IN_PATH])
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, **kwargs: Any) -> Response:
        """Archive a conversation. A body is not read."""
        threads.set_archived(self.find(threads.visible_to(request.user)), True)
        return Response(status=204)

    @operation("chat_threads_unarchive", "Bring a conversation back", None, 404, status=204, parameters=[UUID_IN_PATH])
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, **kwargs: Any) -> Response:
        """Bring a conversation back from the archive. A body is not read."""
        threads.set_archived(self.find(threads.visible_to(request.user)), False)
        return Response(status=204)

    @operation("chat_threads_cancel", "Stop the answer in a conversation", None, 404, parameters=[UUID_IN_PATH])
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        """Stop the running answer; without one, do nothing. A body is not read."""
        chat.cancel_thread(self.find(threads.owned_by(request.user)))
        return Response()

    def _filtered(self, query: dict[str, Any]) -> QuerySet[Thread]:
        readable = threads.owned_by if query.get("scope") == "own" else threads.visible_to
        return filtered(readable(self.request.user), thread_filter(query))

    def _change(self, request: Request) -> Response:
        thread = self.find(threads.owned_by(request.user))
        changes = self.validated()
        if "name" in changes:
            threads.rename(thread, changes["name"])
        if "is_archived" in changes:
            threads.set_archived(thread, changes["is_archived"])
        return self.one(thread)
