"""The HTTP API: the only part that knows Django REST framework.

A request goes through `views`, which authenticates, validates and returns a `pending` response at once. Django renders
that after the view: there the turn is started and its first event decides the status, and a `body` carries the rest.
"""
