"""The URL of the chat page, under its public name: path("assistant/", include("waldur_chat.page_urls"))."""

from waldur_chat.page.urls import urlpatterns

__all__ = ["urlpatterns"]
