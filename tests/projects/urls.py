"""URLs of the host with projects, beside those of the chat."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.host.urls import urlpatterns as host_urls
from tests.projects.views import LogView, ProjectViewSet

router = SimpleRouter()
router.register("projects", ProjectViewSet, basename="project")

urlpatterns = [
    path("api/", include(router.urls)),
    path("api/log/<str:kind>/", LogView.as_view(), name="log"),
    path("plain/", lambda request: None, name="plain"),
    *host_urls,
]
