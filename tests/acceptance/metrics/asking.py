"""Questions to a cluster, and what its metrics say of them."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from tests.acceptance.metrics.conftest import METRICS_TOKEN
from tests.processes import TOKEN, Running

WHOLE = "fake:tokens=5"
FAULTS = ("fake:status=500", "fake:tokens=5&fault=2", "fake:tokens=5&cut=2")
LONG = "fake:tokens=2000&delay=0.05"
CALLS = "fake:call=show_links&tokens=3"

Sample = tuple[str, dict[str, str], float]


def ask(server: Running, question: str, stop: str = "", token: str = TOKEN) -> int:
    """Ask, read to the end or stop it (by `cancel` or by leaving), and return the status."""
    connection, body = HTTPConnection("127.0.0.1", server.port, timeout=120), json.dumps({"input": question})
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json", "Accept": "text/event-stream"}
    with closing(connection):
        connection.request("POST", "/api/chat/stream/", body, headers)
        response = connection.getresponse()
        if stop:
            _stop(server, response, stop)
        if stop != "leave":
            response.read()
        return response.status


def _stop(server: Running, response: HTTPResponse, stop: str) -> None:
    while b"w1" not in response.readline():
        pass
    if stop == "cancel":
        path = f"/api/chat-threads/{response.headers['X-Chat-Thread']}/cancel/"
        headers = {"Authorization": f"Token {TOKEN}"}
        request = urllib.request.Request(f"{server.address}{path}", b"", headers, method="POST")
        urllib.request.urlopen(request).close()


def scrape(server: Running, accept: str = "") -> str:
    """The text for a scraper with the token."""
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}", "Accept": accept}
    request = urllib.request.Request(f"{server.address}/api/chat/metrics/", headers=headers)
    with urllib.request.urlopen(request) as response:
        return str(response.read().decode())


def samples(text: str) -> list[Sample]:
    """What a scraper reads there."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(text)
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


def summed(found: Iterable[Sample], name: str, *labels: str, **wanted: str) -> Counter[Any]:
    """The sums of a metric by these labels, of its samples that have what is wanted."""
    sums: Counter[Any] = Counter()
    for sample, has, value in found:
        if sample == name and wanted.items() <= has.items():
            sums[tuple(has[label] for label in labels)] += int(value)
    return +sums
