"""System prompts, for staff alone (contract section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat.api.openapi.inspector import describe
from waldur_chat.api.openapi.operations import PAGES, UUID_IN_PATH, operation
from waldur_chat.api.serializers.prompts import SystemPromptSerializer, SystemPromptVersionSerializer
from waldur_chat.api.views.resources import ResourceViewSet
from waldur_chat.models import SystemPrompt
from waldur_chat.store.conversations import system_prompts

SHOWN = SystemPromptSerializer
VERSION = SystemPromptVersionSerializer


def _operation(name: str, summary: str, answer: Any, *refusals: int, **options: Any) -> Callable[[Any], Any]:
    described = operation(f"chat_system_prompts_{name}", summary, answer, *refusals, **options)
    return lambda view: describe(tags=["chat-system-prompts"])(described(view))


def _of_one(name: str, summary: str, answer: Any, *parameters: Any, **options: Any) -> Callable[[Any], Any]:
    return _operation(name, summary, answer, 404, parameters=[UUID_IN_PATH, *parameters], **options)


class SystemPromptViewSet(ResourceViewSet):
    """What the model is told before every conversation."""

    serializer_class = SystemPromptSerializer

    def get_queryset(self) -> QuerySet[SystemPrompt]:
        """What may be read; permissions of a site's that go by models, ask for it."""
        return system_prompts.all_prompts()

    def admit(self, request: Request) -> None:
        """See ChatAPIViewSet.admit()."""
        super().admit(request)
        if not getattr(request.user, "is_staff", False):
            raise PermissionDenied

    def handle_exception(self, exc: Exception) -> Response:
        """See ChatAPIViewSet.handle_exception(). Somebody may delete what somebody else changes."""
        return super().handle_exception(NotFound() if isinstance(exc, SystemPrompt.DoesNotExist) else exc)

    @_operation("list", "List system prompts", SHOWN(many=True), 404, parameters=[*PAGES])
    def list(self, request: Request, **kwargs: Any) -> Response:
        """A page of prompts, the newest first."""
        return self.page_of(system_prompts.all_prompts())

    @_of_one("retrieve", "Show a system prompt", SHOWN)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Read one."""
        return self.one(self._found())

    @_operation("create", "Write a system prompt", SHOWN, status=201, request=SHOWN)
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Write one, which is not active yet."""
        return self.one(system_prompts.create(request.user, **self.validated()), status=201)

    @_of_one("update", "Replace a system prompt", SHOWN, request=SHOWN)
    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change what it says. Other instructions are a new version."""
        return self._changed(request, partial=False)

    @_of_one("partial_update", "Change a system prompt", SHOWN, request=SHOWN)
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change some of what it says. Other instructions are a new version."""
        return self._changed(request, partial=True)

    @_of_one("destroy", "Delete a system prompt", None, status=204)
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete it and its versions."""
        system_prompts.delete(self._found())
        return Response(status=204)

    @_of_one("activate", "Activate a system prompt", SHOWN)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **kwargs: Any) -> Response:
        """Make it the active one, and no other. A body is not read."""
        return self.one(system_prompts.activate(self._found()))

    @_of_one("deactivate", "Deactivate a system prompt", SHOWN)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, **kwargs: Any) -> Response:
        """Make it inactive. A body is not read."""
        return self.one(system_prompts.deactivate(self._found()))

    @_of_one("versions_list", "List what a system prompt was", VERSION(many=True), *PAGES)
    @action(detail=True, methods=["get"], serializer_class=VERSION)
    def versions(self, request: Request, **kwargs: Any) -> Response:
        """A page of its versions, the newest first."""
        return self.page_of(system_prompts.versions_of(self._found()))

    def _found(self) -> SystemPrompt:
        return self.find(system_prompts.all_prompts())

    def _changed(self, request: Request, *, partial: bool) -> Response:
        prompt = self._found()
        serializer = self.get_serializer(prompt, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self.one(system_prompts.change(prompt, request.user, **serializer.validated_data))
