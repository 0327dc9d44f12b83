"""Settings of this host. Its replica holds nothing; pytest-django refuses to ask it, but for threads of ours."""

from tests.host.settings import *  # noqa: F403
from tests.host.settings import DATABASES, INSTALLED_APPS


class ReadsFromReplica:
    """A router as sites with a replica have it, of the tables of waldur_chat."""

    def db_for_read(self, model: type, **hints: object) -> str | None:
        return "replica" if model._meta.app_label == "waldur_chat" else None

    def db_for_write(self, model: type, **hints: object) -> str:
        return "default"

    def allow_relation(self, one: object, other: object, **hints: object) -> bool:
        return True


INSTALLED_APPS = ["tests.people", *INSTALLED_APPS]
AUTH_USER_MODEL = "people.Person"
DATABASES = {**DATABASES, "replica": {"ENGINE": "django.db.backends.sqlite3"}}
DATABASE_ROUTERS = ["tests.people.settings.ReadsFromReplica"]
