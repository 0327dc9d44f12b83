"""The chat page. Sites may subclass `ChatPage`, and include `waldur_chat.page_urls`."""

from waldur_chat.page.views import ChatPage

__all__ = ["ChatPage"]
