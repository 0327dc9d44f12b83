"""Calls about conversations, by a user of a host that runs as a process."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.processes import Running


def get(server: Running, path: str, user: Any) -> Any:
    """What the API has there for the user."""
    with _call(server, "GET", path, user) as response:
        return json.load(response)


def cancel(server: Running, thread: str, user: Any) -> None:
    """Stop what runs in a conversation."""
    _call(server, "POST", f"/api/chat-threads/{thread}/cancel/", user).close()


def _call(server: Running, method: str, path: str, user: Any) -> Any:
    headers = {"Authorization": f"Token {user.auth_token.key}"}
    return urllib.request.urlopen(urllib.request.Request(f"{server.address}{path}", method=method, headers=headers))
