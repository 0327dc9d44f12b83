"""What HTTP clients log of a turn stays out of the site's log."""

from __future__ import annotations

import contextvars
import logging

import pytest

from waldur_chat.providers.transport.logs import mute_client_logs


@pytest.mark.parametrize("name", ["httpx", "httpx2", "openai._base_client", "httpcore.http11", "httpcore2.connection"])
def test_the_clients_records_of_a_turn_are_kept_out_of_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    contextvars.copy_context().run(log_muted, name)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def log_muted(name: str) -> None:
    mute_client_logs()
    logging.getLogger(name).debug("the prompt")
    logging.getLogger(name).info("the address")
    logging.getLogger(name).warning("trouble")


def test_the_hosts_own_use_of_the_client_is_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    contextvars.copy_context().run(mute_client_logs)
    contextvars.Context().run(logging.getLogger("httpx").info, "HTTP Request: GET")
    assert caplog.messages == ["HTTP Request: GET"]


def test_muting_twice_adds_nothing() -> None:
    contextvars.copy_context().run(mute_client_logs)
    before = list(logging.getLogger("httpx").filters)
    contextvars.copy_context().run(mute_client_logs)
    assert logging.getLogger("httpx").filters == before
