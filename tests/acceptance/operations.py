"""All operations of the API's document, called by the demo's user."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

import yaml

from tests.processes import ROOT, TOKEN, Running

MAKE_STAFF = "UPDATE auth_user SET is_staff = true, is_superuser = true"


def call(site: Running, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Status and body of one request."""
    headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
    data = None if method == "GET" else json.dumps(body or {}).encode()
    request = urllib.request.Request(f"{site.address}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def server_errors(site: Running, uuid: str) -> list[tuple[str, str]]:
    """The operations that fail by the server's fault, each called once with this UUID and an empty body."""
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    operations = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    return [one for one in operations if call(site, one[0], one[1].replace("{uuid}", uuid))[0] >= 500]
