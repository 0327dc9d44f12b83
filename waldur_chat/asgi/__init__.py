"""Shortcuts for chat requests under ASGI that came through `waldur_chat.shedding`, each of which may be off."""
