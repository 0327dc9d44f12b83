"""Whether the model of a question is offered tools. On sites without any this costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from waldur_chat.conf import Settings
from waldur_chat.engine.rounds.runner import ToolRunner
from waldur_chat.messages import Message, Prompt, ToolSpec
from waldur_chat.store.turns.begin import StartedTurn

MODULE = "chat_tools"
"""The module of an app in which tools are looked for."""


class Offered(Protocol):
    """The tools that a user's model gets."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model gets them."""

    @property
    def trusted(self) -> frozenset[str]:
        """The names of the tools whose results do not taint."""

    def runner(self, user: Any, started: StartedTurn, settings: Settings) -> ToolRunner:
        """What runs them for a turn of this user. Called in the thread of the request."""


def offer(
    user: Any, settings: Settings, caller: Callable[[], Any] | None, thread: UUID | None = None
) -> Offered | None:
    """The tools for a question of this user in a conversation, if any; None if there are none.

    `caller` returns what tools need of the user's request (`tools.caller.ToolCaller`).
    """
    if not has_tools(settings):
        return None
    # Not at the top: drf-spectacular and jsonschema take 0.2 s and 9 MB, which sites without tools need not pay.
    from waldur_chat.turns.tools import turn_tools

    return turn_tools.offer(user, settings, caller, thread)


def has_tools(settings: Settings) -> bool:
    """Whether the site has tools, for some user."""
    return bool(settings.tools) or _have_tools(tuple(apps.app_configs))


def offer_none(caller: Callable[[], Any] | None) -> Offered:
    """No tools, for a decision on a call although the user is offered none any more."""
    from waldur_chat.turns.tools import turn_tools  # See offer().

    return turn_tools.ToolOffer(caller=caller() if caller else None)


def counted(offered: Offered | None, answer_schema: Mapping[str, Any] | None = None) -> Sequence[Message]:
    """What stands for the tools and the schema of the answer where tokens are estimated."""
    return Prompt(messages=(), tools=offered.specs if offered else (), answer_schema=answer_schema).counted


@cache
def _have_tools(labels: tuple[str, ...]) -> bool:
    """Whether one of the installed apps with these labels has tools."""
    modules = [apps.get_app_config(label).module for label in labels]
    return any(module is not None and module_has_submodule(module, MODULE) for module in modules)
