"""Our admin pages are on the admin site that the host shows, whichever that is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import path, reverse

from waldur_chat.admin import PAGES, register

SETTINGS = """
SECRET_KEY = "only-for-the-tests"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [%s, "django.contrib.auth", "django.contrib.contenttypes", "rest_framework"]
"""
REPLACING = """
from django.apps import apps
from django.contrib import admin

class Own(admin.AdminSite):
    @classmethod
    def clone_default(cls):
        site = cls()
        site._registry = admin.site._registry.copy()
        return site

admin.site = Own%s
"""
PRINT = """
import django; django.setup()
from django.apps import apps
from django.contrib import admin
from waldur_chat.models import Thread, Budget
print(type(admin.site).__name__, admin.site.is_registered(Thread), admin.site.is_registered(Budget))
"""


@pytest.mark.parametrize(
    ("apps", "made"),
    [
        (["django.contrib.admin", "replacing", "waldur_chat"], ".clone_default()"),
        (["django.contrib.admin", "waldur_chat", "replacing"], "()"),
        (["replacing", "waldur_chat", "django.contrib.admin"], ".clone_default()"),
        pytest.param(["django.contrib.admin", "replacing", "waldur_chat"], "()", marks=pytest.mark.slow),
        pytest.param(["django.contrib.admin", "waldur_chat", "replacing"], ".clone_default()", marks=pytest.mark.slow),
        pytest.param(["replacing", "waldur_chat", "django.contrib.admin"], "()", marks=pytest.mark.slow),
    ],
)
def test_a_site_that_replaces_djangos_own_has_them(tmp_path: Path, apps: list[str], made: str) -> None:
    (tmp_path / "replacing").mkdir()
    (tmp_path / "replacing" / "__init__.py").touch()
    (tmp_path / "replacing" / "admin.py").write_text(REPLACING % made)
    (tmp_path / "own_settings.py").write_text(SETTINGS % ", ".join(map(repr, apps)))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "own_settings"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    told = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout == "Own True True\n"


@pytest.fixture
def own(settings: Any) -> Any:
    """A second admin site, at an address and by a name of its own."""
    site = admin.AdminSite(name="staff-only")
    register(site)
    settings.ROOT_URLCONF = type(
        "Urls", (), {"urlpatterns": [path("staff/", site.urls), path("admin/", admin.site.urls)]}
    )
    return site


def test_another_site_can_have_them_too(own: Any) -> None:
    assert all(own.is_registered(model) for model in PAGES)
    assert reverse("staff-only:waldur_chat_usage").startswith("/staff/")


@pytest.mark.django_db
def test_links_lead_to_the_same_site(own: Any) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    for name in ("waldur_chat_usage", "waldur_chat_dayofusage_changelist"):
        text = client.get(reverse(f"staff-only:{name}")).content.decode()
        assert ('href="/staff/' in text, 'href="/admin/' in text) == (True, False)


def test_pages_of_the_hosts_own_are_kept() -> None:
    site = admin.AdminSite()
    for model in PAGES:
        site.register(model)
    register(site)
    assert all(site.is_registered(model) for model in PAGES)


def test_a_host_without_our_admin_pages_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "waldur_chat.admin")
    apps.get_app_config("waldur_chat").ready()
    assert "waldur_chat.admin" not in sys.modules
