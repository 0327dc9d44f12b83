"""The base of views that answer with a turn: switches and limits before it, and its ids in the headers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NoReturn

from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from waldur_chat import chat, users
from waldur_chat.api.request import auth, chat_paths, doctor_probe, resume
from waldur_chat.api.request.throttles import ChatRateThrottle, TokenBudget, TurnLimit, throttle_classes
from waldur_chat.api.responses.deferred import DeferredResponse
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.engine.event_source import EventSource
from waldur_chat.messages import Question
from waldur_chat.metrics import observer
from waldur_chat.record import Caller
from waldur_chat.store.conversations import audit
from waldur_chat.tools.caller import ToolCaller

TURN_HEADER = "X-Chat-Turn"
THREAD_HEADER = "X-Chat-Thread"
DISCLOSURE = {"AI-Disclosure": "mode=ai-originated"}
"""Marks a response as written by an AI system: https://datatracker.ietf.org/doc/draft-abaris-aicdh/"""


class TurnViewSet(ChatAPIViewSet, GenericAPIView[Any]):
    """The base of viewsets whose actions begin or resume turns.

    The actions in `actions_without_switches` are for users for whom the chat was switched off meanwhile, too.
    """

    throttle_classes = throttle_classes()
    filter_backends = []
    pagination_class = None
    actions_without_switches: tuple[str, ...] = ()

    _turn_headers: Mapping[str, str] = MappingProxyType({})
    """The response headers with the ids of turn and thread."""

    def get_throttles(self) -> list[BaseThrottle]:
        """The throttles. Those of this package are described in response headers."""
        throttles = list(super().get_throttles())
        self.limits += [one for one in throttles if isinstance(one, ChatRateThrottle)]
        return throttles

    def throttled(self, request: Request, wait: float) -> NoReturn:
        """Refuse a question that is above the rate of the site."""
        observer().request_refused("throttled")
        super().throttled(request, wait)

    def admit(self, request: Request) -> None:
        """Check the switches, which depend on the user."""
        self.chat_settings = chat.load()
        if self.action in self.actions_without_switches:
            return
        self.limits.append(TokenBudget())
        if self.chat_settings.turns_per_user is not None and users.is_known(request.user):
            self.limits.append(TurnLimit(self.chat_settings.turns_per_user))
        auth.check_switches(self.chat_settings, self.host_user)
        chat_paths.remember(request._request)
        self.chat_settings = doctor_probe.settings_for(request._request, self.chat_settings)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the ids of turn and thread to the headers, and mark answers as written by an AI system.

        A deferred response is finalized when it is rendered.
        """
        if isinstance(response, DeferredResponse):
            return response
        finalized = super().finalize_response(request, response, *args, **kwargs)
        is_answer = self._turn_headers and finalized.status_code == 200
        for name, value in {**self._turn_headers, **(DISCLOSURE if is_answer else {})}.items():
            finalized[name] = value
        return finalized

    def _source(self, question: Question) -> EventSource:
        """The turn of this question, or the earlier one with the same idempotency key. A probe's turn is not stored."""
        asker, reader = self.request.user, self.reader
        user = None if doctor_probe.HEADER in self.request.headers else asker
        key = resume.idempotency_key(self.request)
        tool_caller = partial(ToolCaller.of, self.request)
        source = chat.open_turn(question, self.chat_settings, self._caller(asker, reader), user, key, tool_caller)
        try:
            audit.record_question(reader, asker, source.thread)
        except Exception:
            source.discard()  # What was begun needs an end.
            raise
        return self._with_headers_of(source)

    def _caller(self, user: Any, reader: Any) -> Caller:
        return Caller(
            user_id=str(user.pk) if users.is_known(user) else "",
            request_id=self.request_id,
            impersonator_id=str(reader.pk) if reader.pk != user.pk else "",
        )

    def _with_headers_of(self, source: EventSource) -> EventSource:
        """Return the source, and keep its ids for the response headers."""
        fields = {TURN_HEADER: source.id, THREAD_HEADER: source.thread}
        self._turn_headers = {name: value for name, value in fields.items() if value}
        return source
