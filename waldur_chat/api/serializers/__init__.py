"""The serializers of the API. `ChatRequestSerializer` is public: sites can subclass it."""

from waldur_chat.api.serializers.chat import ChatRequestSerializer

__all__ = ["ChatRequestSerializer"]
