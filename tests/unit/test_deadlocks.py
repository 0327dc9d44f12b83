"""Writes that have no order of locks are repeated when the database has ended a deadlock at their cost."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import OperationalError

from waldur_chat.store.locks import ATTEMPTS, retried_on_deadlock


class Psycopg3Error(Exception):
    sqlstate = "40P01"


class Psycopg2Error(Exception):
    pgcode = "40P01"


class AnotherError(Exception):
    sqlstate = "57014"


def failure(cause: Exception | None) -> OperationalError:
    error = OperationalError("The transaction was rolled back.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("cause", [Psycopg3Error(), Psycopg2Error()])
def test_what_a_deadlock_ended_is_repeated(cause: Exception) -> None:
    write = mock.Mock(side_effect=[failure(cause), "written"])
    assert retried_on_deadlock(write)("a row") == "written"
    assert write.mock_calls == [mock.call("a row")] * 2


def test_not_for_ever() -> None:
    write = mock.Mock(side_effect=[failure(Psycopg3Error())] * (ATTEMPTS + 1))
    with pytest.raises(OperationalError):
        retried_on_deadlock(write)()
    assert write.call_count == ATTEMPTS


@pytest.mark.parametrize("cause", [AnotherError(), None])
def test_another_failure_is_told_at_once(cause: Exception | None) -> None:
    write = mock.Mock(side_effect=failure(cause))
    with pytest.raises(OperationalError):
        retried_on_deadlock(write)()
    assert write.call_count == 1
