"""What a Django host of these benchmarks has, like ours: the usual middleware, and tokens of DRF in SQLite.

Connections are persistent, as there.

python -m django_host TOKEN makes the database, with a user who has the token.
"""

import os
import sys

import django
from django.conf import settings

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


def configure(urls: str, middleware: list[str]) -> None:
    """Set Django up."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="only-for-benchmarks",
        ROOT_URLCONF=urls,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "rest_framework",
            "rest_framework.authtoken",
        ],
        MIDDLEWARE=middleware,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.environ["PEER_DB"],
                "CONN_MAX_AGE": int(os.environ["WALDUR_CHAT_CONN_MAX_AGE"]),
            }
        },
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def make_database(token: str) -> None:
    """Make the database, and a user who has the token."""
    from django.contrib.auth.models import User  # Not before configure().
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    call_command("migrate", verbosity=0)
    Token.objects.get_or_create(key=token, user=User.objects.get_or_create(username="demo")[0])


if __name__ == "__main__":
    configure("", MIDDLEWARE)
    make_database(sys.argv[1])
