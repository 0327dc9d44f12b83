"""Deferred responses, bodies of streams, and downloads."""
