"""The view for Prometheus, for staff and for whoever has the token of `METRICS_TOKEN`."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from waldur_chat import conf
from waldur_chat.metrics.current import is_installed


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics as text; 404 without `METRICS`, 503 without the extra, 401 or 403 for others."""
    if not conf.site_value("METRICS"):
        raise Http404
    if not (has_token(request) or getattr(getattr(request, "user", None), "is_staff", False)):
        is_known = getattr(getattr(request, "user", None), "is_authenticated", False)
        return (
            HttpResponse(status=403) if is_known else HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
        )
    if not is_installed():
        return HttpResponse("prometheus_client is not installed.\n", status=503, content_type="text/plain")
    from waldur_chat.metrics.exposition import exposition

    text, media_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=media_type)


def has_token(request: HttpRequest) -> bool:
    """Whether the request has the token of the settings."""
    token = conf.site_value("METRICS_TOKEN")
    return bool(token) and constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
