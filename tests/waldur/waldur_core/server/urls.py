"""URLs of the host, and of what extensions add to them."""

import os

from django.conf import settings
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet
from waldur_core.core import WaldurExtension


class HostChatViewSet(ViewSet):
    """The host's own chat, where it has one."""

    def list(self, request):
        """Answer."""
        return Response(["the host's own chat"])


router = DefaultRouter()
if os.environ.get("WALDUR_HOST_OWNS_CHAT"):
    router.register("chat", HostChatViewSet, basename="chat")
urlpatterns = []
for extension in WaldurExtension.get_extensions():
    if extension.django_app() in settings.INSTALLED_APPS:
        urlpatterns += extension.django_urls()
        extension.rest_urls()(router)
urlpatterns += [path("api/", include(router.urls))]
