"""System prompts, for staff only (contract section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat.api.openapi.operations import PAGES, UUID_IN_PATH, operation
from waldur_chat.api.serializers.prompts import SystemPromptSerializer, SystemPromptVersionSerializer
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.models import SystemPrompt
from waldur_chat.store.conversations import system_prompts

SHOWN = SystemPromptSerializer
VERSION = SystemPromptVersionSerializer


def _operation(name: str, summary: str, answer: Any, *refusals: int, **options: Any) -> Callable[[Any], Any]:
    tags = ["chat-system-prompts"]
    return operation(f"chat_system_prompts_{name}", summary, answer, *refusals, tags=tags, **options)


def _of_one(name: str, summary: str, answer: Any, *parameters: Any, **options: Any) -> Callable[[Any], Any]:
    return _operation(name, summary, answer, 404, parameters=[UUID_IN_PATH, *parameters], **options)


class SystemPromptViewSet(ResourceViewSet):
    """The instructions that the model gets before every conversation."""

    serializer_class = SystemPromptSerializer

    def get_queryset(self) -> QuerySet[SystemPrompt]:
        """The rows that the user may read. DRF's model permissions, if a site adds them, take the model from it."""
        return system_prompts.all_prompts()

    def admit(self, request: Request) -> None:
        super().admit(request)
        if not getattr(request.user, "is_staff", False):
            raise PermissionDenied

    def handle_exception(self, exc: Exception) -> Response:
        """Answer 404 if another request has deleted the prompt meanwhile."""
        return super().handle_exception(NotFound() if isinstance(exc, SystemPrompt.DoesNotExist) else exc)

    @_operation("list", "List system prompts", SHOWN(many=True), 404, parameters=[*PAGES])
    def list(self, request: Request, **kwargs: Any) -> Response:
        """A page of prompts, the newest first."""
        return self.page_of(system_prompts.all_prompts())

    @_of_one("retrieve", "Show a system prompt", SHOWN)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Show a prompt."""
        return self.one(self._prompt())

    @_operation("create", "Write a system prompt", SHOWN, status=201, request=SHOWN)
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a prompt, which is not active yet."""
        return self.one(system_prompts.create(request.user, **self.validated()), status=201)

    @_of_one("update", "Replace a system prompt", SHOWN, request=SHOWN)
    def update(self, request: Request, **kwargs: Any) -> Response:
        """Replace a prompt. Changed instructions become a new version."""
        return self._change(request, partial=False)

    @_of_one("partial_update", "Change a system prompt", SHOWN, request=SHOWN)
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change some fields of a prompt. Changed instructions become a new version."""
        return self._change(request, partial=True)

    @_of_one("destroy", "Delete a system prompt", None, status=204)
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete a prompt and its versions."""
        system_prompts.delete(self._prompt())
        return Response(status=204)

    @_of_one("activate", "Activate a system prompt", SHOWN)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **kwargs: Any) -> Response:
        """Activate a prompt, and deactivate all others. A body is not read."""
        return self.one(system_prompts.activate(self._prompt()))

    @_of_one("deactivate", "Deactivate a system prompt", SHOWN)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, **kwargs: Any) -> Response:
        """Deactivate a prompt. A body is not read."""
        return self.one(system_prompts.deactivate(self._prompt()))

    @_of_one("versions_list", "List what a system prompt was", VERSION(many=True), *PAGES)
    @action(detail=True, methods=["get"], serializer_class=VERSION)
    def versions(self, request: Request, **kwargs: Any) -> Response:
        """A page of the versions of a prompt, the newest first."""
        return self.page_of(system_prompts.versions_of(self._prompt()))

    def _prompt(self) -> SystemPrompt:
        return self.find(system_prompts.all_prompts())

    def _change(self, request: Request, *, partial: bool) -> Response:
        prompt = self._prompt()
        serializer = self.get_serializer(prompt, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self.one(system_prompts.change(prompt, request.user, **serializer.validated_data))
