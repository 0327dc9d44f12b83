"""What the host project serves itself."""

from mimetypes import guess_type
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

ROUTES = {
    "invoke": "chat-invoke",
    "stream": "chat-stream",
    "threads": "chat-threads-list",
    "messages": "chat-messages-list",
    "sessions": "chat-sessions-list",
    "system-prompts": "chat-system-prompts-list",
    "quota": "chat-quota-usage",
    "documentation": "docs",
}


def api_root(request: HttpRequest) -> JsonResponse:
    """Where everything is, for who opens `/api/`."""
    return JsonResponse({name: request.build_absolute_uri(reverse(route)) for name, route in ROUTES.items()})


def static_file(request: HttpRequest, path: str) -> HttpResponse:
    """A static file of an installed app, under every server and without `collectstatic`. Good for a demo only."""
    found = finders.find(path)
    if not isinstance(found, str):
        raise Http404(path)
    return HttpResponse(Path(found).read_bytes(), content_type=guess_type(found)[0])
