"""Calls of tools that wait for their user: decided once, by that user, or superseded by what the user does next."""
