"""Who may call: the host's own authentication, or tokens where it chose none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import JsonResponse
from django.test import Client, override_settings
from rest_framework.permissions import BasePermission

from tests.integration.conftest import JSON, Caller
from waldur_chat.conf import constance
from waldur_chat.errors import ProviderFailed
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core

URL = "/api/chat/invoke/"


class Nobody(BasePermission):
    """A permission of the host's that refuses everybody."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return False


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """A host that says nothing of REST framework."""
    with override_settings(REST_FRAMEWORK={}):
        yield


def test_a_host_without_configuration_is_closed_to_strangers(unconfigured: None, db: None) -> None:
    assert Client().post(URL).status_code == 401


def test_a_host_without_configuration_takes_tokens(unconfigured: None, call: Caller) -> None:
    with scripted("Hello"):
        assert call.invoke().json == "Hello"


def test_a_host_without_configuration_takes_sessions_with_a_csrf_token(unconfigured: None, user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(URL, content_type=JSON).status_code == 403
    client.cookies["csrftoken"] = "x" * 32
    with scripted("Hello"):
        assert client.post(URL, content_type=JSON, headers={"X-CSRFToken": "x" * 32}).status_code == 200


def test_a_host_without_tokens_still_takes_sessions(unconfigured: None, user: Any) -> None:
    client = Client()
    apps = [app for app in django_settings.INSTALLED_APPS if app != "rest_framework.authtoken"]
    with override_settings(INSTALLED_APPS=apps), scripted("Hello"):
        assert client.post(URL, content_type=JSON).status_code == 403
        client.force_login(user)
        assert client.post(URL, content_type=JSON).status_code == 200


def test_a_host_with_its_own_authentication_keeps_it(user: Any) -> None:
    user.set_password("pw")
    user.save()
    own = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"]}
    with override_settings(REST_FRAMEWORK=own), scripted("Hello"):
        given = {"Authorization": "Basic YWxpY2U6cHc="}
        assert Client().post(URL, content_type=JSON, headers=given).status_code == 200
        assert Client().post(URL).headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("permission", "status"),
    [
        ("rest_framework.permissions.AllowAny", 200),
        ("rest_framework.permissions.DjangoModelPermissions", 200),
        ("rest_framework.permissions.DjangoObjectPermissions", 200),
        ("rest_framework.permissions.IsAdminUser", 403),
        (f"{__name__}.Nobody", 403),
    ],
)
def test_the_hosts_permissions_are_asked_besides_ours(call: Caller, permission: str, status: int) -> None:
    own = {**django_settings.REST_FRAMEWORK, "DEFAULT_PERMISSION_CLASSES": [permission]}
    with override_settings(REST_FRAMEWORK=own), scripted("Hello"):
        assert call.invoke().status == status


def test_a_host_that_lets_everybody_in_does_not_let_strangers_chat(db: None) -> None:
    own = {**django_settings.REST_FRAMEWORK, "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}
    with override_settings(REST_FRAMEWORK=own):
        assert Client().post(URL).status_code == 401


def test_a_host_with_scoped_throttles_and_no_rate_for_us_answers(call: Caller) -> None:
    own = {
        **django_settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.ScopedRateThrottle"],
    }
    with override_settings(REST_FRAMEWORK=own), scripted("Hello"):
        assert call.invoke().status == 200


def test_the_hosts_exception_handler_is_asked(call: Caller) -> None:
    own = {**django_settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": f"{__name__}.plain_handler"}
    with override_settings(REST_FRAMEWORK=own):
        assert call.stream({}).json == ["the host's own words"]


def plain_handler(error: Exception, context: dict[str, Any]) -> Any:
    """An exception handler of the host's that answers with a list."""
    from rest_framework.response import Response

    return Response(["the host's own words"], status=400)


def test_a_handler_may_answer_with_a_response_of_djangos(call: Caller) -> None:
    own = {**django_settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": f"{__name__}.django_handler"}
    with override_settings(REST_FRAMEWORK=own), scripted(ProviderFailed()):
        assert [call.stream({}).status, call.stream().status] == [418, 418]


def django_handler(error: Exception, context: dict[str, Any]) -> Any:
    """An exception handler of the host's that knows nothing of DRF's responses."""
    return JsonResponse({}, status=418)


@pytest.mark.parametrize("roles", ["Staff", "staff ", "nobody", ["staff"]])
def test_roles_that_are_none_let_nobody_in(call: Caller, settings: Any, monkeypatch: Any, roles: object) -> None:
    monkeypatch.setattr(constance, "read", lambda: {"ENABLED_ROLES": roles})
    assert call.stream().status == 409


@pytest.mark.parametrize("seconds", ["abc", -1])
def test_a_time_limit_of_the_hosts_that_is_none_is_told(
    call: Caller, monkeypatch: Any, caplog: Any, seconds: object
) -> None:
    monkeypatch.setattr(constance, "read", lambda: {"TURN_SECONDS": seconds})
    assert call.stream().status == 409
    assert "constance" in caplog.text
