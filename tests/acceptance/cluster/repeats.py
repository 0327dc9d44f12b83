"""The same request, sent many times at once to several processes."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.acceptance.cluster.reader import Answer, Reader

QUESTION = "fake:tokens=5&delay=0.1"
TEXT = "w0 w1 w2 w3 w4 "


async def stream(ports: Sequence[int], token: str, times: int) -> list[Answer]:
    """Ask for a stream so many times, with one key."""
    key = uuid4().hex
    turned = [[*ports[number % len(ports) :], *ports] for number in range(times)]
    return await asyncio.gather(*(Reader(one, QUESTION, token=token, key=key).read() for one in turned))


async def invoke(ports: Sequence[int], token: str, times: int) -> list[str]:
    """Ask for a whole answer so many times, with one key."""
    key = uuid4().hex
    run = asyncio.get_running_loop().run_in_executor
    with ThreadPoolExecutor(times) as threads:
        asking = [run(threads, _invoke, ports[number % len(ports)], token, key) for number in range(times)]
        return await asyncio.gather(*asking)


def _invoke(port: int, token: str, key: str) -> str:
    headers = {"Authorization": f"Token {token}", "Idempotency-Key": key, "Content-Type": "application/json"}
    body = json.dumps({"input": QUESTION}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/chat/invoke/", body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(json.load(response))
