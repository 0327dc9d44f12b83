"""Paths of the chat API that the site's URLs do not show: middleware leads there by setting `request.urlconf`.

Sites do that for subdomains and tenants. Load shedding stands in front of middleware, so it learns these paths from the
first request that arrives at a view.
"""

from __future__ import annotations

from django.http import HttpRequest

MOST = 1024
"""How many paths are kept."""

_known: set[tuple[str, str]] = set()


def remember(request: HttpRequest) -> None:
    """Keep host and path of a request that has arrived at the chat, if its middleware has chosen the URLs."""
    if getattr(request, "urlconf", None) is None:
        return
    if len(_known) >= MOST:
        _known.clear()
    _known.add((request.META.get("HTTP_HOST", ""), request.path_info))


def is_known(host: str, path: str) -> bool:
    """Whether requests to this path at this host arrive at the chat. The path is without the script name."""
    return (host, path) in _known
