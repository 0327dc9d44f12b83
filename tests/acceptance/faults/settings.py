"""The host project with things that can break: a cache, which throttles need, and a log.

`FAULTS_CACHE_GONE` names a file: while it exists the cache is gone. `FAULTS_LOG` is where log records go.
"""

import faulthandler
import os
import signal

from tests.host.settings import *  # noqa: F403
from tests.host.settings import DATABASES
from tests.host.settings import REST_FRAMEWORK as USUAL_REST_FRAMEWORK

faulthandler.register(signal.SIGRTMIN)

if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 3}

CACHES = {
    "default": {
        "BACKEND": "tests.acceptance.faults.cache.FragileCache",
        "LOCATION": os.environ.get("FAULTS_CACHE_GONE", ""),
    }
}

REST_FRAMEWORK = {
    **USUAL_REST_FRAMEWORK,
    "DEFAULT_THROTTLE_RATES": {"chat_invoke": "100000/minute", "chat_stream": "100000/minute"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": os.environ.get("FAULTS_LOG", os.devnull)}},
    "root": {"handlers": ["file"], "level": "INFO"},
}
