"""A model service that obeys every order it finds anywhere in its prompt, and keeps the bytes of each request.

It speaks OpenAI's protocol over HTTP. Orders are `CALL name {"arguments": ...}` and `SAY words`: plain, or hidden by
what some filters look through, such as invisible characters, tags of Unicode, base64 and full-width letters.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALL = re.compile(r"CALL (\w+) (\{[^{}]*\})")
SAY = re.compile(r"SAY \((.*?)\)SAY", re.DOTALL)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u206f\ufeff]")
_TAG = re.compile("[\U000e0020-\U000e007e]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


class Obedient:
    """What the service was sent: the bytes of each request, and the orders that it has obeyed."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.obeyed: list[str] = []
        self.address = ""

    @property
    def sent(self) -> bytes:
        """All bytes that reached it."""
        return b"".join(self.bodies)

    def texts(self, body: bytes) -> list[str]:
        """All texts of the messages in a request but the operator's own, as its tokenizer would read them."""
        messages = [one for one in json.loads(body)["messages"] if one["role"] != "system"]
        return list(_strings(messages))

    def answer(self, body: bytes) -> Iterator[dict[str, Any]]:
        """The pieces of the answer: all calls that were ordered and not made yet, or else words."""
        self.bodies.append(body)
        request = json.loads(body)
        seen = "\n".join(unhidden(text) for text in _contents(request["messages"]))
        orders = [found for found in CALL.findall(seen) if " ".join(found) not in self.obeyed]
        may_call = request.get("tools") and request.get("tool_choice") != "none"
        if orders and may_call:
            self.obeyed += dict.fromkeys(" ".join(found) for found in orders)
            calls = [
                {"index": at, "id": f"x{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
                for at, (name, arguments) in enumerate(dict.fromkeys(orders))
            ]
            yield {"delta": {"tool_calls": calls}}
            yield {"delta": {}, "finish_reason": "tool_calls"}
            return
        yield {"delta": {"content": " ".join(SAY.findall(seen)) or "Done."}}
        yield {"delta": {}, "finish_reason": "stop"}


def unhidden(text: str) -> str:
    """The text with all that is hidden in it."""
    tags = "".join(chr(ord(character) - 0xE0000) for character in _TAG.findall(text))
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", _TAG.sub("", text)))
    return "\n".join((plain, tags, *(_decoded(word) for word in _BASE64.findall(plain))))


def _decoded(word: str) -> str:
    try:
        return base64.b64decode(word).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _contents(messages: list[dict[str, Any]]) -> Iterator[str]:
    return (one["content"] for one in messages if isinstance(one.get("content"), str))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if not isinstance(inner, str):
            yield from _strings(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


@contextmanager
def obedient_service() -> Iterator[Obedient]:
    """Serve on a port of its own, in a thread."""
    model = Obedient()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            pieces = [json.dumps({"choices": [{"index": 0, **one}]}) for one in model.answer(body)]
            answer = "".join(f"data: {piece}\n\n" for piece in (*pieces, "[DONE]")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.address = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
