"""A real Prometheus scrapes the cluster, and answers every query of the dashboard and of the alerts."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml
from django.db import connections

from tests.acceptance.books import limit_site
from tests.acceptance.databases import HOST
from tests.acceptance.metrics.asking import CALLS, FAULTS, WHOLE, ask, samples, scrape, summed
from tests.acceptance.metrics.conftest import METRICS_TOKEN, ROOM, Cluster
from tests.acceptance.needs import program
from tests.acceptance.streams import eventually
from tests.processes import ROOT, TOKEN, free_port, process
from waldur_chat.models import Turn

pytestmark = pytest.mark.slow

DEPLOY = ROOT / "docs" / "deploy"
ALERTS = DEPLOY / "prometheus-alerts.yml"
JOB = "chat"
SECONDS = 40.0


def dashboard_queries() -> list[str]:
    """The queries of all panels, as Grafana would send them."""
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    return [one.replace("$__rate_interval", "1m").replace("$job", JOB) for one in expressions]


def alert_queries() -> list[str]:
    """The values that the alerts compare with a threshold, which stands at the end of each."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    return [re.sub(r" [<>] [\d.]+$", "", one) for one in expressions]


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the cluster every half second, and has loaded the alerts."""
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (directory / "prometheus.yml").write_text(configuration(cluster.gunicorn.port))
    command = [
        program("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(command, port, directory / "prometheus.log", {}):
        address = f"http://127.0.0.1:{port}"
        assert eventually(lambda: is_ready(address), 60)
        yield address


def is_ready(address: str) -> bool:
    """Whether it answers queries: before, it opens its files."""
    with suppress(HTTPError), urllib.request.urlopen(f"{address}/-/ready"):
        return True
    return False


def configuration(port: int) -> str:
    """As the documentation has it: one server of those that share a directory is scraped, with the token."""
    scraping = {
        "job_name": JOB,
        "scrape_interval": "500ms",
        "metrics_path": "/api/chat/metrics/",
        "authorization": {"credentials": METRICS_TOKEN},
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }
    return yaml.safe_dump({"rule_files": [str(ALERTS)], "scrape_configs": [scraping]})


@pytest.fixture(scope="module")
def busy(cluster: Cluster, prometheus: str) -> Iterator[str]:
    """Prometheus, while everything happens in the cluster that is measured, from before its first scrape on."""
    with repeated(lambda: everything(cluster)):
        yield prometheus


def everything(cluster: Cluster) -> None:
    """Answers, calls, failures, readers who come again, exhausted budgets, and failures until breakers open."""
    server = cluster.gunicorn
    for question in (WHOLE, CALLS, f"{CALLS}&arguments=[]", *FAULTS):
        ask(server, question)
    rejoin(cluster)
    limit_site(0)
    assert ask(server, WHOLE) == 429
    limit_site(None)
    if not summed(samples(scrape(server)), "waldur_chat_open_breakers"):
        crowd(cluster)
        for _ in range(20):
            ask(server, FAULTS[0])


def crowd(cluster: Cluster) -> None:
    """More questions at once than two processes have room for."""
    with ThreadPoolExecutor(3 * ROOM) as threads:
        statuses = threads.map(lambda _: ask(cluster.uvicorn, "fake:tokens=3&first=5"), range(3 * ROOM))
        assert 503 in set(statuses)


def rejoin(cluster: Cluster) -> None:
    turn = Turn.objects.using(HOST).filter(status=Turn.Status.FINISHED).latest("id").uuid
    headers = {"Authorization": f"Token {TOKEN}", "Accept": "text/event-stream"}
    address = f"{cluster.gunicorn.address}/api/chat/turns/{turn.hex}/events/"
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as response:
        assert b"w1" in response.read()


@contextmanager
def repeated(act: Callable[[], None]) -> Iterator[None]:
    """Do it again and again beside this context."""
    is_over = threading.Event()

    def work() -> None:
        try:
            while not is_over.is_set():
                act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def answer(prometheus: str, query: str) -> list[Any]:
    """What it answers: the values of a vector."""
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as response:
        return list(json.load(response)["data"]["result"])


@pytest.mark.parametrize("query", [*dashboard_queries(), *alert_queries()])
def test_a_query_has_data(busy: str, query: str) -> None:
    def has_data() -> bool:
        values = [one["value"][1] for one in answer(busy, query)]
        return bool(values) and any(value != "NaN" for value in values)

    assert eventually(has_data, SECONDS)


def test_the_rules_are_valid() -> None:
    subprocess.run([program("promtool"), "check", "rules", str(ALERTS)], check=True, stdout=subprocess.DEVNULL)


def test_the_format_is_valid(busy: str, cluster: Cluster, tmp_path: Path) -> None:
    text = scrape(cluster.gunicorn).encode()
    found = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_an_open_breaker_is_an_alert_that_is_pending(busy: str) -> None:
    query = 'ALERTS{alertname="ChatBreakerIsOpen"}'
    assert eventually(lambda: bool(answer(busy, query)), 90)
