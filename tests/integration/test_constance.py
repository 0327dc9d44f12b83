"""A request on a host with django-constance: it is read once, never written, and what fails is a 409."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks as django_checks
from django.db.models import Model

from tests.constance_host import CountingBackend, Host
from tests.integration.conftest import Caller
from tests.integration.counting import counted
from waldur_chat import checks
from waldur_chat.testing import scripted

DEFAULTS = {
    "AI_ASSISTANT_ENABLED": True,
    "AI_ASSISTANT_ENABLED_ROLES": "all",
    "AI_ASSISTANT_API_URL": "",
    "AI_ASSISTANT_NAME": "Ada",
    "SITE_NAME": "Waldur",
}


def break_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every read of constance fail."""

    def mget(backend: object, keys: object) -> None:
        raise ConnectionError("Error 111 connecting to redis.internal:6379.")

    monkeypatch.setattr(CountingBackend, "mget", mget)


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_a_request_reads_once_off_the_event_loop_and_writes_nothing(call: Caller, host: Host, operation: str) -> None:
    host(DEFAULTS)
    with scripted("Hello"):
        assert getattr(call, operation)({"input": "Hi"}).status == 200
    assert CountingBackend.calls == ["mget"]


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_a_request_asks_the_database_for_values_once_and_writes_none(
    call: Caller, host: Host, stored_values: type[Model], operation: str
) -> None:
    host(DEFAULTS)
    table = stored_values._meta.db_table
    with scripted("Hello"), counted() as statements:
        assert getattr(call, operation)({"input": "Hi"}).status == 200
    (statement,) = [one for one in statements if table in one]
    assert statement.startswith("SELECT")
    assert not stored_values._default_manager.exists()


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, 200),
        ({"AI_ASSISTANT_ENABLED": False}, 404),
        ({"AI_ASSISTANT_ENABLED_ROLES": "staff"}, 403),
        ({"AI_ASSISTANT_ENABLED_ROLES": "nobody"}, 409),
    ],
)
def test_values_in_the_database_are_honoured(
    call: Caller, host: Host, stored_values: type[Model], values: dict[str, Any], status: int
) -> None:
    host(DEFAULTS, **values)
    with scripted("Hello"):
        assert call.invoke().status == status


def test_a_read_that_fails_is_a_409_whose_reason_the_log_has(
    call: Caller, host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host(DEFAULTS)
    break_backend(monkeypatch)
    reply = call.invoke()
    assert (reply.status, reply.json["code"]) == (409, "chat_not_configured")
    assert "constance cannot be read: ConnectionError: Error 111" in caplog.text
    assert "redis.internal" not in reply.body.decode()


def found() -> list[str]:
    """What the check of constance says, each with its id."""
    return [f"{one.id}: {one.msg}" for one in checks.check_constance(None)]


def test_check_has_nothing_to_say_of_a_host_that_can_be_read(host: Host) -> None:
    host(DEFAULTS, AI_ASSISTANT_API_URL="http://ai.example.com/v1")
    assert found() == []
    assert CountingBackend.calls == ["mget"]


def test_check_warns_where_constance_cannot_be_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host(DEFAULTS)
    break_backend(monkeypatch)
    (message,) = checks.check_constance(None)
    assert (message.id, message.level) == ("waldur_chat.W013", django_checks.WARNING)
    assert message.msg.startswith("constance cannot be read: ConnectionError: Error 111")


def test_check_warns_of_values_that_cannot_be(host: Host) -> None:
    host(DEFAULTS, AI_ASSISTANT_ENABLED_ROLES="nobody", AI_ASSISTANT_API_URL="ai.example.com")
    roles, address = found()
    assert roles.startswith("waldur_chat.W013: WALDUR_CHAT['ENABLED_ROLES'] as the host keeps it in constance: It must")
    assert address.startswith("waldur_chat.W013: constance['default']: base_url must be an address")


def test_check_warns_of_a_budget_that_no_question_fits(host: Host) -> None:
    host({**DEFAULTS, "AI_ASSISTANT_TOKEN_LIMIT_DAILY": 5}, AI_ASSISTANT_API_URL="http://ai.example.com/v1")
    (budget,) = found()
    assert budget.startswith(
        "waldur_chat.W013: WALDUR_CHAT['USER_TOKENS_DAILY'] as the host keeps it in constance: No "
    )


def test_check_leaves_providers_alone_that_the_site_replaces(host: Host, settings: Any) -> None:
    host(DEFAULTS, AI_ASSISTANT_API_URL="ai.example.com")
    settings.WALDUR_CHAT = {"PROVIDERS": 7}
    assert found() == []
