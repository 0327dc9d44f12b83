"""The URL of the chat page."""

from django.urls import path

from waldur_chat.page.views import ChatPage

urlpatterns = [path("", ChatPage.as_view(), name="chat-page")]
