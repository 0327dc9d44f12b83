"""Which observer this process has."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf
from waldur_chat.metrics.observer import Observer

logger = logging.getLogger("waldur_chat.metrics")

_NOTHING = Observer()


def observer() -> Observer:
    """The observer of this process; one that does nothing without `METRICS`, or where metrics cannot be kept."""
    with suppress(ImproperlyConfigured):  # The turn itself raises it.
        if conf.site_value("METRICS"):
            return _measuring()
    return _NOTHING


def is_installed() -> bool:
    """Whether the extra `metrics` is installed."""
    return find_spec("prometheus_client") is not None


@cache
def _measuring() -> Observer:
    try:
        from waldur_chat.metrics.prometheus import PrometheusObserver

        return PrometheusObserver()
    # The package is missing, or the directory of PROMETHEUS_MULTIPROC_DIR cannot be written.
    except (ImportError, OSError) as error:
        logger.error("Nothing is measured: %s", error)
        return _NOTHING
