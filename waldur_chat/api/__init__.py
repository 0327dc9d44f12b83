"""The HTTP API, the only part that uses Django REST framework.

A view authenticates, validates and returns a deferred response at once. Django renders it after the view: rendering
starts the turn, the first event decides the status, and the body of a stream (`responses.stream_body`) sends the rest.
"""
