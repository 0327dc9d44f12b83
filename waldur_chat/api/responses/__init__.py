"""Responses whose status the provider decides, and their bodies."""
