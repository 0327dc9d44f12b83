"""URLs of the host project: the API below `/api/` as in Waldur, its document, and the chat page."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from tests.host.views import static_file

urlpatterns = [
    path("", include("waldur_chat.page_urls")),
    path("api/", include("waldur_chat.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    re_path(rf"^{settings.STATIC_URL.lstrip('/')}(?P<path>.+)$", static_file),
]
