"""The host project as no operator should run it: with error pages for developers, and everything in the log."""

from tests.host.settings import *  # noqa: F403

DEBUG = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"all": {"format": "{name} {levelname} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "all"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
    "loggers": {"django.db.backends": {"level": "INFO"}},  # It tells of each query, also of those with credentials.
}
