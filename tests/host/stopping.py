"""The URLs of the host project, and one more for tests: it stops a turn of this process."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.host.urls import urlpatterns as usual
from waldur_chat import chat


@csrf_exempt
def stop(request: HttpRequest, turn: str) -> HttpResponse:
    """204 where the turn ran here, else 404."""
    return HttpResponse(status=204 if chat.cancel(turn) else 404)


urlpatterns = [*usual, path("stop/<str:turn>/", stop)]
