"""Takes apart what points to itself, so that a question goes when it was answered.

DRF's view and Django's request do, and the garbage collector comes late: until then each would keep the question, its
token and its user, and all of them together would make the collector's rounds longer.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import proxy

from django.http import HttpRequest
from rest_framework.response import Response


def break_up_response(response: Response) -> None:
    """Of one of DRF that is rendered: what it was rendered with has it."""
    context: dict[str, Any] = response.renderer_context  # type: ignore[attr-defined]  # Set by finalize_response().
    context.pop("response", None)


def break_up_view(view: Any) -> None:
    """Of a viewset whose response is made, and rendered. DRF hands it its own methods, and its request to itself."""
    for method in view.action_map:
        vars(view).pop(method, None)
    for name in ("view", "request"):
        view.request.parser_context.pop(name, None)


def break_up_request(request: HttpRequest) -> None:
    """Of one whose response has left. Who keeps it can still ask whose it is; its messages are stored by now."""
    state = vars(request)
    state.pop("_messages", None)
    ask = state.get("auser")
    if isinstance(ask, partial) and ask.args == (request,):
        state["auser"] = partial(ask.func, proxy(request))
