"""The URLs of the demo: those of the host project, and of the catalogue below `/api/`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.demo.views import ProjectViewSet, VirtualMachineViewSet
from tests.host.urls import urlpatterns as host_urls

router = SimpleRouter()
router.register("projects", ProjectViewSet, basename="project")
router.register("vms", VirtualMachineViewSet, basename="vm")

urlpatterns = [path("api/", include(router.urls)), *host_urls]
