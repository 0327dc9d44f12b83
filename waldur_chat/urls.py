"""For `include("waldur_chat.urls")`: `chat/invoke/` and `chat/stream/` below whatever prefix the site gives them."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from waldur_chat.api.routing import register

router = SimpleRouter()
register(router)

urlpatterns = router.urls
