"""Settings of the host, and of what extensions add to them."""

import json
import os
from importlib.util import find_spec

from waldur_core.core import WaldurExtension

SECRET_KEY = "only-for-the-tests"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "waldur_core.server.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["WALDUR_CHAT_DB"]}}
MIDDLEWARE = ("django.middleware.common.CommonMiddleware",)
INSTALLED_APPS = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "constance",
    # Before constance 3.0 its table is that of an app of its own, as Waldur's settings name it.
    *(["constance.backends.database"] if find_spec("constance.backends.database").submodule_search_locations else []),
    *os.environ.get("WALDUR_HOST_APPS", "").split(),
)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ("rest_framework.authentication.TokenAuthentication",),
    "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.IsAuthenticated",),
    "DEFAULT_RENDERER_CLASSES": (
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ),
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.ScopedRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"oauth": "10/s"},
    "DATETIME_FORMAT": None,
}
if find_spec("rest_framework.schemas.coreapi"):
    REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"] = "rest_framework.schemas.coreapi.AutoSchema"
CONSTANCE_BACKEND = "constance.backends.database.DatabaseBackend"
CONSTANCE_CONFIG = {
    "SITE_NAME": ("Waldur", "Name of the deployment."),
    **{name: tuple(value) for name, value in json.loads(os.environ.get("WALDUR_HOST_CONSTANCE", "{}")).items()},
}

CELERY_BEAT_SCHEDULE = {}

for extension in WaldurExtension.get_extensions():
    INSTALLED_APPS += (extension.django_app(),)
    for name, value in vars(extension.Settings).items():
        if not name.startswith("_"):
            globals()[name] = value
    CELERY_BEAT_SCHEDULE.update(extension.celery_tasks())
    extension.update_settings(globals())

WALDUR_CHAT = {**WALDUR_CHAT, **json.loads(os.environ.get("WALDUR_CHAT_SETTINGS", "{}"))}  # noqa: F821  # the plugin's
