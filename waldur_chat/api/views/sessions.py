"""Sessions: show, export and erase all conversations of a user (contract section 2)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat import chat, conf
from waldur_chat.api.openapi.operations import PAGES, UUID_IN_PATH, fields_of, operation
from waldur_chat.api.request.auth import check_is_known
from waldur_chat.api.request.pagination import COUNT_HEADER
from waldur_chat.api.responses.download import Download
from waldur_chat.api.serializers.sessions import ChatSessionSerializer
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.models import Session
from waldur_chat.store.conversations import audit, deletion, sessions, threads
from waldur_chat.store.conversations.export import FORMATS

SHOWN = ChatSessionSerializer
FIELDS = fields_of(SHOWN)
AS = OpenApiParameter("as", OpenApiTypes.STR, enum=list(FORMATS), default="json", description="The format of the file.")


class SessionViewSet(ResourceViewSet):
    """The session of a user; staff and support can also see those of other users."""

    serializer_class = ChatSessionSerializer

    def get_queryset(self) -> QuerySet[Session]:
        """The rows that the user may read. DRF's model permissions, if a site adds them, take the model from it."""
        return sessions.visible_to(self.request.user)

    @operation("chat_sessions_list", "List sessions", SHOWN(many=True), 400, 404, parameters=[FIELDS, *PAGES])
    def list(self, request: Request, **kwargs: Any) -> Response:
        """A page of sessions, the newest first."""
        return self.page_of(sessions.visible_to(request.user).order_by("-created", "-id"))

    @operation("chat_sessions_retrieve", "Show a session", SHOWN, 400, 404, parameters=[UUID_IN_PATH, FIELDS])
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """One session."""
        return self.one(self.find(sessions.visible_to(request.user)))

    @operation("chat_sessions_current_retrieve", "Show one's own session", SHOWN, 400, parameters=[FIELDS])
    @action(detail=False, methods=["get"])
    def current(self, request: Request, **kwargs: Any) -> Response:
        """The user's own session, which is created if there is none."""
        check_is_known(request.user)
        response = self.one(sessions.get_or_create(request.user))
        response[COUNT_HEADER] = "1"
        return response

    @operation("chat_sessions_current_destroy", "Erase all of one's conversations", None, status=204)
    @current.mapping.delete  # type: ignore[untyped-decorator]  # DRF adds `mapping` to the function.
    def erase(self, request: Request, **kwargs: Any) -> Response:
        """Delete the session with all conversations. Running answers are stopped; used tokens stay counted."""
        check_is_known(request.user)
        for thread in threads.with_running_turns(request.user):
            chat.cancel_thread(thread)
        deletion.erase(request.user)
        return Response(status=204)

    @operation("chat_sessions_current_export", "Export all of one's conversations",
               {(200, "application/json"): OpenApiTypes.OBJECT, (200, "text/markdown"): OpenApiTypes.STR}, 400,
               parameters=[AS])  # fmt: skip
    @action(detail=False, methods=["get"], url_path="current/export")
    def export(self, request: Request, **kwargs: Any) -> Download:
        """All conversations as a file: JSON with every version of each message, or Markdown for reading."""
        check_is_known(request.user)
        name = request.query_params.get("as", "json")
        if name not in FORMATS:
            raise ValidationError({"as": [_("This can be one of {names}.").format(names=", ".join(FORMATS))]})
        write, media_type, file_name = FORMATS[name]
        is_read = request.method != "HEAD"
        if is_read:
            audit.record_export(self.reader, request.user)
        texts = write(request.user) if is_read else iter(())
        return Download(texts, name=file_name, media_type=media_type, limit=conf.site_value("EXPORTS_AT_ONCE"))
