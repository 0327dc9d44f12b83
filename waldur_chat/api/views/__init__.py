"""The viewsets of the API. `ChatViewSet` is public: sites can subclass it."""

from waldur_chat.api.views.chat import ChatViewSet

__all__ = ["ChatViewSet"]
