"""The serializers of the API. `ChatRequestSerializer` is public: sites subclass it."""

from waldur_chat.api.serializers.chat import ChatRequestSerializer

__all__ = ["ChatRequestSerializer"]
