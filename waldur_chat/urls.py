"""For `include("waldur_chat.urls")`: `chat/invoke/` and `chat/stream/` below whatever prefix the site gives them.

`URL_PREFIX` takes the place of `chat`, for a site that has an API of its own there.
"""

from __future__ import annotations

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.urls import path
from rest_framework.routers import SimpleRouter

from waldur_chat import conf
from waldur_chat.api.routing import register
from waldur_chat.metrics.view import metrics

prefix = "chat"
with suppress(ImproperlyConfigured):  # The checks import this module, and report an invalid prefix.
    prefix = conf.site_value("URL_PREFIX")

router = SimpleRouter()
register(router, prefix)

urlpatterns = [*router.urls, path(f"{prefix}/metrics/", metrics, name=f"{prefix}-metrics")]
