"""Loops, threads and processes. Knows nothing of chats."""
