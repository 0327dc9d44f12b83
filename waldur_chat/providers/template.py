"""Requests that differ in nothing but their body and their id: what the SDK works out for one holds for all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from waldur_chat.messages import Prompt
from waldur_chat.providers import direct, transport


class RequestTemplate:
    """A request as the SDK has made and sent it, to be sent again with other contents.

    The SDK's own way takes three times as long for each: it copies and looks at options, joins addresses and merges
    headers that are always the same.
    """

    def __init__(self, client: Any, sent: Any, own: Mapping[str, str]) -> None:
        """`sent` is a request of this HTTP client; the headers in `own` were of that one alone."""
        self._client = client
        self._session = direct.session(client, sent.url)
        self._make = type(sent)
        self._url = sent.url
        self._address = str(sent.url)
        left_out = {"content-length", *(name.lower() for name in own)}
        self._headers = [(name, value) for name, value in sent.headers.items() if name not in left_out]

    async def send(self, body: Mapping[str, Any], prompt: Prompt) -> transport.Response:
        """The response, whose body was not read yet. Raises `ValueError` for what JSON cannot hold."""
        headers = [*self._headers, *transport.request_id(prompt).items()]
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        if self._session:
            return await direct.post(self._session, self._address, headers, content, prompt.connect_seconds)
        extensions = {"timeout": transport.timeout(prompt).as_dict()}
        request = self._make("POST", self._url, headers=headers, content=content, extensions=extensions)
        return await transport.send(self._client, request)
