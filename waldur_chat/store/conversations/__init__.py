"""Rows of conversations: threads, messages, sessions, system prompts."""
