"""Conversations: threads, messages, sessions, system prompts, export, deletion and the audit trail."""
