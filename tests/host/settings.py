"""Settings of the host project.

The database file is `WALDUR_CHAT_DB`, or PostgreSQL where `WALDUR_CHAT_DB` is a `postgres://` address; with `?pool=20`
a process has at most 20 connections (Django 5.1 and newer), with `?server_cursors=off` it uses no cursors of the server
(`DISABLE_SERVER_SIDE_CURSORS`), with `WALDUR_CHAT_CONN_MAX_AGE` connections last so many seconds.
With `WALDUR_CHAT_DB_SYNC=0`, as all tests have it, SQLite does not wait for the disk.
The model comes from `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `WALDUR_CHAT_MODEL`; without these the offline provider
answers.
"""

import json
import os
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent.parent

SECRET_KEY = "only-for-the-demo-and-the-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = os.environ.get("WALDUR_CHAT_URLS", "tests.host.urls")
ASGI_APPLICATION = "tests.host.asgi.application"
WSGI_APPLICATION = "tests.host.wsgi.application"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "waldur_chat",
    "tests.host",
    "tests.projects",
    "tests.demo",
]
if find_spec("drf_spectacular_sidecar"):
    INSTALLED_APPS.append("drf_spectacular_sidecar")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


class SQLiteConnection(sqlite3.Connection):
    """For tests, commits are left to the operating system: a killed process loses nothing, a power cut might.

    Django 5.1 has the option `init_command` for this, Django 4.2 has not; both pass `factory` on to sqlite3. The
    environment is read late, since pytest-django reads these settings before any conftest sets it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if os.environ.get("WALDUR_CHAT_DB_SYNC") == "0":
            try:
                self.execute("PRAGMA synchronous=OFF").close()
            except sqlite3.Error:  # It reads the file. Nobody else could close what was not made.
                self.close()
                raise


def database(name: str) -> dict[str, object]:
    """The `DATABASES` entry of a file or of a `postgres://` address."""
    if not name.startswith("postgres://"):
        test = {"NAME": str(Path(gettempdir()) / f"waldur-chat-test-{os.getpid()}.sqlite3")}
        sqlite = {"timeout": 20, "factory": SQLiteConnection}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": sqlite, "TEST": test}
    address = urlsplit(name)
    options = parse_qs(address.query)
    pool = options.get("pool")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.path.lstrip("/"),
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
        "HOST": address.hostname or "",
        "PORT": address.port or "",
        "OPTIONS": {"pool": {"min_size": 1, "max_size": int(pool[0])}} if pool else {},
        "DISABLE_SERVER_SIDE_CURSORS": options.get("server_cursors") == ["off"],
    }


DATABASES = {"default": database(os.environ.get("WALDUR_CHAT_DB") or str(BASE_DIR / "demo.sqlite3"))}
if age := int(os.environ.get("WALDUR_CHAT_CONN_MAX_AGE", 0)):
    DATABASES["default"] |= {"CONN_MAX_AGE": age, "CONN_HEALTH_CHECKS": True}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Waldur chat",
    "DESCRIPTION": "The LLM chat API of a Waldur-style host.",
    "VERSION": "1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"timed": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "timed"}},
    "loggers": {
        "waldur_chat": {"handlers": ["console"], "level": "INFO"},
        "django.request": {"handlers": ["console"], "level": "ERROR"},
    },
}

# What a test that starts this project as a process wants to be different.
WALDUR_CHAT = json.loads(os.environ.get("WALDUR_CHAT_SETTINGS", "{}"))
