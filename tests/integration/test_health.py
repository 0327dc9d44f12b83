"""Health and readiness as views: what everybody and staff are told, and what makes a process unready."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper
from rest_framework.authentication import TokenAuthentication

from tests.integration.conftest import Caller
from tests.integration.customized import answering
from tests.unit.aio import run
from waldur_chat import conf
from waldur_chat.conf import Settings
from waldur_chat.engine import provider_pool
from waldur_chat.engine.breaker import Breaker
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.health import database, looks, readiness
from waldur_chat.health.report import database_looks, settings_looks

HEALTH, READY = "/api/chat/health/", "/api/chat/ready/"
CHECKS = ("database", "migrations", "server", "providers", "breaker", "room", "queue")
WELL = dict.fromkeys(CHECKS, "ok")


@pytest.fixture(autouse=True)
def one_provider(settings: Any) -> None:
    answering(settings, "Hello")


@pytest.fixture(autouse=True)
def each_answer_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waldur_chat.health.report.ANSWER_SECONDS", 0.0)


@pytest.fixture
def staff(call: Caller, user: Any) -> Caller:
    """The user is staff."""
    user.is_staff = True
    user.save()
    return call


@pytest.fixture
def anonymous(call: Caller) -> Caller:
    """Calls without credentials."""
    call.token = ""
    return call


def fail(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError("connection to server at 10.0.0.1 failed")


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that takes no connection of a look."""
    monkeypatch.setattr(database, "_own_connection", fail)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that does not answer looks, until the test is over."""
    end = threading.Event()
    monkeypatch.setattr(looks, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(database, "_own_connection", lambda: end.wait() and fail())
    yield
    end.set()


@pytest.fixture
def stopping() -> Iterator[None]:
    """A server that has been told to stop."""

    class Server:
        should_exit = True

        def handle_exit(self, number: int, frame: object) -> None:
            """Never called here."""

    before = signal.signal(signal.SIGTERM, Server().handle_exit)
    yield
    signal.signal(signal.SIGTERM, before)


def checks(call: Caller, status: int, query: str = "") -> dict[str, str]:
    """The words that differ from those of a process that is well."""
    reply = call.get(f"{READY}{query}")
    assert (reply.status, reply.json["status"]) == (status, "ready" if status == 200 else "unready")
    assert reply.headers["Cache-Control"] == "no-store"
    return {name: word for name, word in reply.json["checks"].items() if word != WELL[name]}


def test_health_needs_neither_database_nor_credentials(
    anonymous: Caller, monkeypatch: pytest.MonkeyPatch, stopping: None
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(BaseDatabaseWrapper, "cursor", fail)
        reply = anonymous.get(HEALTH)
        assert (reply.status, reply.json, reply.headers["Cache-Control"]) == (200, {"status": "alive"}, "no-store")
        anonymous.token = "wrong"
        assert anonymous.get(HEALTH).status == 200


def test_everybody_is_told_a_word_for_each_check(anonymous: Caller) -> None:
    reply = anonymous.get(READY)
    assert (reply.status, reply.json) == (200, {"status": "ready", "checks": WELL})
    anonymous.token = "wrong"
    assert anonymous.get(READY).json == reply.json


def test_users_are_told_the_same(call: Caller) -> None:
    assert call.get(READY).json == {"status": "ready", "checks": WELL}


def test_staff_is_told_details(staff: Caller) -> None:
    details = staff.get(READY).json["details"]
    assert tuple(details) == CHECKS
    assert details["database"]["seconds"] < 1
    assert details["migrations"] == {"missing": []}
    assert details["providers"] == {"names": ["default"]}
    assert details["room"] == {"running": 0, "limit": 2000}
    assert details["queue"] == {"waiting": 0, "limit": 100}


def test_a_database_that_is_down_makes_it_unready(anonymous: Caller, lost: None, caplog: Any) -> None:
    assert checks(anonymous, 503) == {"database": "down", "migrations": "unknown"}
    assert b"10.0.0.1" not in anonymous.get(READY).body
    assert "The look at the database failed: OperationalError" in caplog.text
    assert "10.0.0.1" not in caplog.text


def test_where_it_is_down_no_credentials_are_read(staff: Caller, lost: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenAuthentication, "authenticate", None)
    assert "details" not in staff.get(READY).json


def test_who_cannot_be_looked_up_is_anonymous(staff: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenAuthentication, "authenticate_credentials", fail)
    assert staff.get(READY).json == {"status": "ready", "checks": WELL}


def test_a_database_that_hangs_is_down_and_nobody_waits_for_it(anonymous: Caller, hanging: None) -> None:
    began = time.monotonic()
    assert checks(anonymous, 503) == {"database": "down", "migrations": "unknown"}
    assert checks(anonymous, 503) == {"database": "down", "migrations": "unknown"}
    assert time.monotonic() - began < 1.5
    assert sum(thread.name == "waldur-chat-health-database" for thread in threading.enumerate()) == 1


def test_missing_migrations_make_it_unready_until_they_are_there(
    staff: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = database._names() | {"9999_next"}
    with monkeypatch.context() as patched:
        patched.setattr(database, "_names", lambda: names)
        assert checks(staff, 503) == {"migrations": "missing"}
        assert staff.get(READY).json["details"]["migrations"] == {"missing": ["9999_next"]}
    monkeypatch.setattr(looks, "KEPT_SECONDS", 0.0)
    assert checks(staff, 200) == {}
    monkeypatch.setattr(database, "_names", None)  # They are not looked up again.
    assert checks(staff, 200) == {}


def test_a_database_without_any_lacks_all(anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "TABLE", "no_such_table")
    assert checks(anonymous, 503) == {"migrations": "missing"}


@pytest.mark.parametrize("modules", [{"waldur_chat": None}, {"waldur_chat": "waldur_chat.migrations"}])
def test_a_site_may_put_migrations_elsewhere(anonymous: Caller, settings: Any, modules: dict[str, Any]) -> None:
    settings.MIGRATION_MODULES = modules
    assert checks(anonymous, 200) == {}


def test_migrations_of_tenants_are_not_looked_up(anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connection._connections["default"]), "set_tenant", None, raising=False)
    assert checks(anonymous, 200) == {"migrations": "unchecked"}
    assert checks(anonymous, 200, "?strict=1") == {"migrations": "unchecked"}


def test_a_server_that_stops_is_unready(anonymous: Caller, stopping: None) -> None:
    assert checks(anonymous, 503) == {"server": "stopping"}


def test_without_a_provider_it_is_ready_but_for_strict(anonymous: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {}}
    assert checks(anonymous, 200) == {"providers": "missing"}
    assert checks(anonymous, 200, "?strict=0") == {"providers": "missing"}
    assert checks(anonymous, 503, "?strict=1") == {"providers": "missing"}


def test_settings_that_cannot_be_read_are_unknown(anonymous: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"QUEUE_LENGTH": "many"}
    unknown = dict.fromkeys(("providers", "breaker", "room", "queue"), "unknown")
    assert checks(anonymous, 200) == unknown
    assert checks(anonymous, 503, "?strict=1") == unknown


def test_a_constance_that_hangs_is_unknown_and_holds_nobody(anonymous: Caller, monkeypatch: Any) -> None:
    end = threading.Event()

    def load() -> Settings:
        end.wait()
        raise ImproperlyConfigured

    monkeypatch.setattr(settings_looks(), "_look", load)
    try:
        began = time.monotonic()
        assert set(checks(anonymous, 200).values()) == {"unknown"}
        assert time.monotonic() - began < 2
    finally:
        end.set()


def test_an_open_breaker_counts_until_its_probe_is_due(anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    open_pool: Any = SimpleNamespace(refusing=lambda: {"default"} if breaker.refuses else set())
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(provider_pool, "_pools", {loop: open_pool})
    settings = Settings(breaker_failures=1, breaker_seconds=30)
    breaker.enter(settings)
    breaker.leave(settings, OSError(), is_probe=False)
    assert checks(anonymous, 200) == {"breaker": "open"}
    assert checks(anonymous, 503, "?strict=1") == {"breaker": "open"}
    now[0] = 31.0
    assert checks(anonymous, 200, "?strict=1") == {}
    assert breaker.enter(settings)
    assert checks(anonymous, 503, "?strict=1") == {"breaker": "open"}
    loop.close()
    assert checks(anonymous, 200, "?strict=1") == {}


def test_a_full_process_is_unready_for_strict_only(anonymous: Caller, settings: Any) -> None:
    answering(settings, "Hello", TURNS_PER_PROCESS=1, QUEUE_LENGTH=1)

    async def main() -> list[dict[str, str]]:
        gate, loaded = limiter_of_process(), conf.load()
        async with gate.enter("", loaded):
            found = [await asyncio.to_thread(checks, anonymous, 503, "?strict=1")]
            async with gate.queued(loaded):
                found.append(await asyncio.to_thread(checks, anonymous, 503, "?strict=1"))
                found.append(await asyncio.to_thread(checks, anonymous, 200))
        return found

    both = {"room": "full", "queue": "full"}
    assert run(main()) == [{"room": "full"}, both, both]


def test_no_model_is_asked(anonymous: Caller, settings: Any) -> None:
    script = answering(settings, "Hello")
    checks(anonymous, 200)
    assert script.prompts == []


def test_all_who_ask_share_one_look(anonymous: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    look = database_looks()._look
    monkeypatch.setattr(database_looks(), "_look", lambda: seen.append(None) or look())
    monkeypatch.setattr(looks, "KEPT_SECONDS", 60.0)
    for _ in range(5):
        checks(anonymous, 200)
    assert len(seen) == 1


def test_a_look_at_a_database_in_memory_leaves_no_connection(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DatabaseWrapper({**connection.settings_dict, "NAME": ":memory:", "OPTIONS": {}}, "default")
    monkeypatch.setattr(database, "connections", {"default": memory})
    with database._own_connection() as own, own.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(DatabaseError, match="closed"):
        own.cursor().execute("SELECT 1")


def test_what_is_found_without_a_database_is_a_failure() -> None:
    assert readiness().checks["database"] == "down"


class Connection:
    """What a look needs of a connection to PostgreSQL."""

    vendor = "postgresql"
    connection = None

    def __init__(self, settings: dict[str, Any], alias: str) -> None:
        self.settings_dict, self.is_closed = settings, False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("given", "taken"),
    [({"pool": True}, {"connect_timeout": 2}), ({"connect_timeout": 9, "a": 1}, {"connect_timeout": 9, "a": 1})],
)
def test_a_look_has_a_connection_outside_of_the_pool(
    given: dict[str, Any], taken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Connection({"OPTIONS": given, "NAME": "a"}, "default")
    monkeypatch.setattr(database, "connections", {"default": usual})
    with database._own_connection() as own:
        assert own is not usual
        assert own.settings_dict == {"OPTIONS": taken, "NAME": "a"}
    assert (own.is_closed, usual.is_closed) == (True, False)
