"""URLs of the host project: the API below `/api/` as in Waldur, its document, and the chat page."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from tests.host.views import api_root, static_file

INVOKE_AND_STREAM_FIRST = {"TAGS": [{"name": "chat", "description": "Ask the model."}]}
"""The page shows named tags before others; `docs/openapi.yaml` is without it."""

urlpatterns = [
    path("", include("waldur_chat.page_urls")),
    path("api/", include("waldur_chat.urls")),
    path("api/", api_root),
    path("api/schema/", SpectacularAPIView.as_view(custom_settings=INVOKE_AND_STREAM_FIRST), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    re_path(rf"^{settings.STATIC_URL.lstrip('/')}(?P<path>.+)$", static_file),
]
