"""The address of the chat page: path("assistant/", include("waldur_chat.page_urls"))."""

from django.urls import path

from waldur_chat.page import ChatPage

urlpatterns = [path("", ChatPage.as_view(), name="chat-page")]
