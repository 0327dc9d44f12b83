"""The host with projects, whose processes die when a request says so. `WALDUR_CHAT_ATOMIC` is for ATOMIC_REQUESTS."""

import os

from tests.acceptance.deaths.steps import install
from tests.host.settings import *  # noqa: F403
from tests.host.settings import DATABASES, MIDDLEWARE

ROOT_URLCONF = "tests.projects.urls"
MIDDLEWARE = ["tests.acceptance.deaths.steps.DyingMiddleware", *MIDDLEWARE]
DATABASES["default"]["ATOMIC_REQUESTS"] = os.environ.get("WALDUR_CHAT_ATOMIC") == "1"
install()
