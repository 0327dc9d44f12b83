"""Shortcuts for chat requests under ASGI that arrive through `waldur_chat.shedding`. Each can be off on its own."""
