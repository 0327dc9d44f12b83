"""Requests that nobody would write, made from the OpenAPI document: every answer is one that it promises.

`SCHEMATHESIS_EXAMPLES` is the number of random requests for each of the two operations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.acceptance import needs
from tests.processes import TOKEN, Running, host

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
]
OFFLINE = {"BACKEND": "waldur_chat.providers.offline.OfflineProvider", "OPTIONS": {"delay": 0}}
EVENT = {
    "type": "object",
    "required": ["id", "data"],
    "properties": {
        "event": {"enum": ["start", "message", "reasoning", "end", "error", "cancelled"]},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "object"}},
    },
}


def document(server: Running) -> bytes:
    """The OpenAPI document as Schemathesis has to read it.

    It takes the schema of an event stream for that of a list of events; generated clients, for whom ours is written,
    take it for that of the whole text. And an empty number or truth value, which is taken for none, is no wrong one.
    """
    with urllib.request.urlopen(f"{server.address}/api/schema/?format=json") as response:
        whole = json.load(response)
    for path, method in (("/api/chat/stream/", "post"), ("/api/chat/turns/{uuid}/events/", "get")):
        formats = whole["paths"][path][method]["responses"]["200"]["content"]
        formats["text/event-stream"] = {"itemSchema": EVENT}
    for operation in (one for path in whole["paths"].values() for one in path.values()):
        for parameter in operation.get("parameters", ()):
            if parameter["schema"].get("type") in ("integer", "number", "boolean"):
                parameter["allowEmptyValue"] = True
    return json.dumps(whole).encode()


def test_every_answer_is_one_that_the_document_promises(tmp_path: Path) -> None:
    needs.module("schemathesis")
    with host("uvicorn", tmp_path, settings={"PROVIDERS": {"default": OFFLINE}}) as server:
        (tmp_path / "openapi.json").write_bytes(document(server))
        run = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", "openapi.json",
                "--url", server.address, "--header", f"Authorization: Token {TOKEN}",
                "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS),
                "--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "25"),
                "--generation-database", "none", "--request-timeout", "30", "--continue-on-failure", "--no-color",
            ],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    print(run.stdout)
    assert run.returncode == 0, "Schemathesis found an answer that the document does not promise"
