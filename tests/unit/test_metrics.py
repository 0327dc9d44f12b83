"""Metrics: what a turn leaves in them, and that nothing is left, imported or called without them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, RequestFactory
from prometheus_client import REGISTRY

from tests.unit.aio import everything, run, scripted_spec, settings_with, unrecorded
from waldur_chat import checks, import_ahead
from waldur_chat.conf import OFFLINE, Settings
from waldur_chat.engine.breaker import Breaker
from waldur_chat.engine.provider_pool import PooledProvider
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import BudgetExhausted, ChatBusy, ProviderBusy, ProviderFailed
from waldur_chat.events import Delta, Stopped, Usage
from waldur_chat.metrics import current, exposition, families, observer, prometheus
from waldur_chat.metrics.observer import Observer
from waldur_chat.metrics.prometheus import PrometheusObserver
from waldur_chat.record import Caller, TurnRecord, TurnTimes
from waldur_chat.shedding import LoadShedder
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.testing import Script, Step
from waldur_chat.turns.lifecycle import TurnLifecycle

ON = {"METRICS": True, "METRICS_TOKEN": "secret"}
URL = "/api/chat/metrics/"


@pytest.fixture(autouse=True)
def measured(settings: Any) -> None:
    settings.WALDUR_CHAT = ON


@pytest.fixture
def fresh() -> Iterator[None]:
    """A process that has not looked yet whether it can measure."""
    current._measuring.cache_clear()
    yield
    current._measuring.cache_clear()


def value(name: str, **labels: str) -> float:
    """The value of a sample; 0 where there is none yet."""
    return REGISTRY.get_sample_value(f"waldur_chat_{name}", labels) or 0


def ask(*steps: Step, name: str = "default", stop: bool = False) -> TurnTimes:
    """Run a turn that is measured, with these steps of its provider."""
    times = TurnTimes()

    async def main() -> None:
        found = settings_with(scripted_spec(Script(steps=steps), name))
        lifecycle = TurnLifecycle(found, Caller(), StartedTurn(turn="", messages=()), times=times)
        turn = Turn(found, unrecorded_prompt(found), lifecycle)
        turn.start(asyncio.get_running_loop())
        if stop:
            await turn.first()
            turn.cancel()
        await everything(turn)

    run(main())
    return times


def unrecorded_prompt(found: Settings) -> Any:
    return unrecorded(found)._attempts.prompt


def turns(provider: str, outcome: str, code: str = "") -> float:
    return value("turns_total", purpose="answer", provider=provider, model="", outcome=outcome, code=code)


def test_a_turn_counts_by_its_outcome() -> None:
    before = turns("default", "finished")
    ask("a", "b")
    assert turns("default", "finished") == before + 1


def test_a_failure_counts_with_its_code_and_as_an_attempt() -> None:
    labels = {"provider": "default", "code": "provider_busy"}
    before = turns("default", "failed", "provider_busy"), value("attempts_total", **labels)
    ask(ProviderBusy())
    assert (turns("default", "failed", "provider_busy"), value("attempts_total", **labels)) == (
        before[0] + 1,
        before[1] + 1,
    )


def test_a_stopped_turn_counts_as_cancelled() -> None:
    before = turns("default", "cancelled", "cancelled")
    ask("a", 30, stop=True)
    assert turns("default", "cancelled", "cancelled") == before + 1


@pytest.mark.parametrize(
    ("steps", "estimated"), [(["a", Usage(input_tokens=7, output_tokens=1)], "false"), (["a"], "true")]
)
def test_tokens_say_whether_they_were_reported(steps: list[Step], estimated: str) -> None:
    labels = {"purpose": "answer", "provider": "default", "model": "", "kind": "output", "estimated": estimated}
    before = value("tokens_total", **labels)
    ask(*steps)
    assert value("tokens_total", **labels) == before + 1


def test_times_of_a_turn_are_observed_once() -> None:
    names = ("turn_seconds", "first_token_seconds", "mean_gap_seconds", "longest_gap_seconds")
    labels = {"provider": "default", "model": ""}
    before = [value(f"{name}_count", **labels) for name in names]
    ask("a", "b", "c")
    assert [value(f"{name}_count", **labels) for name in names] == [number + 1 for number in before]


def test_waiting_for_the_provider_is_not_our_own_time() -> None:
    times = ask("a", 0.2, "b")
    assert times.waited_seconds >= 0.19
    assert times.longest_gap >= 0.19
    assert times.gaps == 1


def test_own_seconds_are_never_negative() -> None:
    assert TurnTimes(waited_seconds=10**9).own_seconds == 0


def test_gaps_are_those_between_pieces() -> None:
    times = TurnTimes()
    with times.reading():
        for event in (Delta(text="a"), Usage(input_tokens=1, output_tokens=1), Stopped(reason="stop")):
            times.arrived(event)
    assert times.gaps == 1


def test_a_shorter_gap_is_not_the_longest() -> None:
    times = TurnTimes(longest_gap=100)
    with times.reading():
        times.arrived(Delta(text="a"))
    assert times.longest_gap == 100


def test_a_stop_ends_the_wait_for_the_provider() -> None:
    times = ask("a", 30, stop=True)
    assert times.own_seconds < 30


def test_a_running_turn_is_one_until_it_ends() -> None:
    seen: list[tuple[float, float]] = []

    async def main() -> None:
        turn = unrecorded(settings_with(scripted_spec(Script(steps=["a", 30]))))
        turn.start(asyncio.get_running_loop())
        await turn.first()
        seen.append((value("running_turns"), value("waiting_turns")))
        turn.cancel()
        await everything(turn)

    before = value("running_turns")
    run(main())
    assert (seen, value("running_turns")) == ([(before + 1, 0)], before)


def test_what_runs_and_waits_is_counted_in_its_context() -> None:
    ours = PrometheusObserver()
    with ours.waiting(), ours.running():
        assert (value("waiting_turns"), value("running_turns")) == (1, 1)
    assert (value("waiting_turns"), value("running_turns")) == (0, 0)


def test_a_question_without_budget_counts_by_scope_and_period() -> None:
    before = value("budget_refusals_total", scope="site", period="daily")
    error = BudgetExhausted(scope="site", period="daily", limit=1, needed=2, left=0, retry_after=1)
    observer().turn_refused(error)
    observer().turn_refused(ChatBusy())
    assert value("budget_refusals_total", scope="site", period="daily") == before + 1


def test_a_refusal_in_front_of_django_counts(settings: Any) -> None:
    settings.WALDUR_CHAT = {**ON, "TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 0}
    before, shedder = value("refused_total", code="chat_busy"), LoadShedder()
    assert (shedder.enter(), shedder.enter()) == (True, False)
    assert value("refused_total", code="chat_busy") == before + 1


def test_a_title_counts_as_a_turn_of_its_purpose() -> None:
    labels = {"purpose": "title", "provider": "p", "model": "m", "outcome": "finished", "code": ""}
    before = value("turns_total", **labels)
    record = TurnRecord(turn="", request_id="", user_id="", provider="p", model="m", purpose="title")
    observer().title_ended(record, Usage(input_tokens=1, output_tokens=1))
    observer().title_ended(record, None)
    assert value("turns_total", **labels) == before + 2


def test_a_turn_that_failed_before_it_ran_has_no_times() -> None:
    before = value("own_seconds_count")
    observer().turn_ended(TurnRecord(turn="", request_id="", user_id="", status="failed"))
    assert value("own_seconds_count") == before


def test_an_interrupted_turn_counts_where_it_was_ended() -> None:
    labels = {"purpose": "answer", "provider": "", "model": "m", "outcome": "interrupted", "code": "interrupted"}
    before = value("turns_total", **labels)
    observer().turn_interrupted("answer", "m", Usage(input_tokens=1, output_tokens=1, estimated=True))
    assert value("turns_total", **labels) == before + 1


def test_calls_that_did_not_run_have_no_seconds() -> None:
    before = value("tool_seconds_count", tool="t")
    observer().tool_called("t", "refused")
    observer().tool_called("t", "success", 0.5)
    assert value("tool_seconds_count", tool="t") == before + 1


def test_models_have_labels_up_to_a_limit() -> None:
    ours = PrometheusObserver()
    found = {ours._service("capped", f"m{number}") for number in range(prometheus.MOST_MODELS + 5)}
    assert len(found) == prometheus.MOST_MODELS + 1
    assert (prometheus.OTHER, prometheus.OTHER) in found


def test_an_open_breaker_counts_until_it_closes() -> None:
    pooled = PooledProvider(
        pool=SimpleNamespace(), spec=scripted_spec(Script(steps=[]), "flaky"), provider=SimpleNamespace()
    )
    pooled.breaker = Breaker(clock=lambda: now[0])
    found, now, seen = Settings(breaker_failures=1, breaker_seconds=1), [0.0], []
    with pytest.raises(ProviderFailed), pooled.guarded(found):
        raise ProviderFailed
    seen.append(value("open_breakers", provider="flaky"))
    now[0] = 2.0
    with pooled.guarded(found):
        pass
    seen.append(value("open_breakers", provider="flaky"))
    assert seen == [1, 0]


def test_a_metric_that_cannot_be_kept_is_logged_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(families, "REFUSED", None)
    observer().request_refused("throttled")
    assert "A metric was not kept: AttributeError" in caplog.text


def test_without_the_setting_nothing_is_measured(settings: Any) -> None:
    settings.WALDUR_CHAT = {}
    before = turns("default", "finished")
    ask("a")
    assert turns("default", "finished") == before


def test_a_setting_that_is_wrong_measures_nothing(settings: Any) -> None:
    settings.WALDUR_CHAT = {"METRICS": "yes"}
    assert type(observer()) is Observer


def test_the_observer_that_measures_nothing_takes_everything() -> None:
    nothing, record = Observer(), TurnRecord(turn="", request_id="", user_id="")
    usage = Usage(input_tokens=0, output_tokens=0)
    nothing.turn_ended(record)
    nothing.title_ended(record, None)
    nothing.turn_interrupted("answer", "", usage)
    nothing.turn_refused(ChatBusy())
    nothing.request_refused("")
    nothing.tool_called("", "")
    nothing.stream_rejoined("")
    nothing.breaker_changed("", None, is_open=False)
    with nothing.waiting(), nothing.running():
        pass


def test_without_the_setting_the_library_is_not_imported() -> None:
    code = (
        "import django, sys; django.setup()\n"
        "from waldur_chat import chat\n"
        "chat.invoke('Hi')\n"
        "assert not any(name.startswith('prometheus_client') for name in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_SETTINGS": "{}"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)


def test_without_the_library_nothing_is_measured_and_the_log_says_so(
    fresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "waldur_chat.metrics.prometheus", None)
    assert type(observer()) is Observer
    assert "Nothing is measured" in caplog.text


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waldur_chat.checks.metrics.is_installed", lambda: False)
    (found,) = checks.check_metrics(None)
    assert (found.id, "waldur-chat[metrics]" in str(found.hint)) == ("waldur_chat.E040", True)


def test_a_library_that_is_there_is_no_problem() -> None:
    assert checks.check_metrics(None) == []


@pytest.mark.parametrize(("metrics", "problems"), [(True, 1), (False, 0), ("yes", 0)])
def test_a_directory_that_cannot_be_written_is_reported(
    settings: Any, monkeypatch: pytest.MonkeyPatch, metrics: Any, problems: int
) -> None:
    settings.WALDUR_CHAT = {"METRICS": metrics}
    monkeypatch.setenv(exposition.DIRECTORY, "/nowhere")
    assert len(checks.check_metrics_directory(None)) == problems


def test_the_library_is_imported_ahead(settings: Any) -> None:
    settings.WALDUR_CHAT = {**ON, "PROVIDERS": {"default": {"BACKEND": OFFLINE}}}
    assert "prometheus_client" in import_ahead.packages()


def test_the_view_is_not_there_without_the_setting(settings: Any, client: Client) -> None:
    settings.WALDUR_CHAT = {"METRICS_TOKEN": "secret"}
    assert client.get(URL, HTTP_AUTHORIZATION="Bearer secret").status_code == 404


def test_the_token_opens_the_view(client: Client) -> None:
    response = client.get(URL, HTTP_AUTHORIZATION="Bearer secret")
    assert (response.status_code, b"waldur_chat_running_turns" in response.content) == (200, True)
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Token secret", "Bearer s\u00e9cret"])
def test_no_other_token_opens_it(client: Client, header: str) -> None:
    response = client.get(URL, HTTP_AUTHORIZATION=header)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def test_no_token_is_no_way_in(settings: Any, client: Client) -> None:
    settings.WALDUR_CHAT = {"METRICS": True}
    assert client.get(URL, HTTP_AUTHORIZATION="Bearer ").status_code == 401


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
def test_staff_are_let_in(is_staff: bool, status: int) -> None:
    from waldur_chat.metrics.view import metrics

    request = RequestFactory().get(URL)
    request.user = SimpleNamespace(is_staff=is_staff, is_authenticated=True)
    assert metrics(request).status_code == status


def test_a_missing_library_is_said_to_the_scraper(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waldur_chat.metrics.view.is_installed", lambda: False)
    assert client.get(URL, HTTP_AUTHORIZATION="Bearer secret").status_code == 503


def test_openmetrics_is_spoken_to_who_asks_for_it(client: Client) -> None:
    response = client.get(
        URL, HTTP_AUTHORIZATION="Bearer secret", HTTP_ACCEPT="application/openmetrics-text; version=1.0.0"
    )
    assert response["Content-Type"].startswith("application/openmetrics-text")
    assert response.content.endswith(b"# EOF\n")


def test_processes_that_share_a_directory_are_added_up_and_the_dead_forgotten(tmp_path: Path) -> None:
    code = (
        "import django, sys; django.setup()\n"
        "from waldur_chat.metrics import observer\n"
        "observer().request_refused('throttled')\n"
        "held = observer().running()\n"
        "held.__enter__()\n"
        "from waldur_chat.metrics.exposition import exposition\n"
        "sys.stdout.write(exposition('')[0].decode())"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.host.settings",
        "WALDUR_CHAT_SETTINGS": '{"METRICS": true}',
        exposition.DIRECTORY: str(tmp_path),
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    told = [subprocess.run(command, env=environment, check=True, capture_output=True).stdout for _ in range(2)]
    assert [b'waldur_chat_refused_total{code="throttled"} 2.0' in one for one in told] == [False, True]
    assert all(b"waldur_chat_running_turns 1.0" in one for one in told)


def test_a_directory_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(exposition.DIRECTORY, str(tmp_path))
    assert exposition.exposition("")[0] == b""


@pytest.mark.parametrize(("error", "is_left"), [(ProcessLookupError, False), (PermissionError, True), (None, True)])
def test_gauges_of_processes_that_are_gone_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, is_left: bool
) -> None:
    def kill(process: int, number: int) -> None:
        if error:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    files = [tmp_path / "gauge_livesum_77.db", tmp_path / "counter_77.db"]
    for file in files:
        file.touch()
    exposition.forget_dead(tmp_path)
    assert [file.exists() for file in files] == [is_left, True]


def test_what_another_scrape_has_removed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise FileNotFoundError

    (tmp_path / "gauge_livesum_77.db").touch()
    monkeypatch.setattr(exposition, "mark_process_dead", gone)
    monkeypatch.setattr(exposition, "_is_alive", lambda process: False)
    exposition.forget_dead(tmp_path)


def test_a_reader_who_comes_again_counts_by_where_the_turn_was_found() -> None:
    before = value("rejoined_streams_total", source="stored")
    observer().stream_rejoined("stored")
    assert value("rejoined_streams_total", source="stored") == before + 1
