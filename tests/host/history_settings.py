"""Settings of the host project with django-pghistory, which hooks into the connection of each request."""

from tests.host.settings import *  # noqa: F403
from tests.host.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["pgtrigger", "pghistory", *INSTALLED_APPS]
MIDDLEWARE = [*MIDDLEWARE, "pghistory.middleware.HistoryMiddleware"]
