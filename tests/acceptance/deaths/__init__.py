"""Processes that are killed while a tool runs."""
