"""Checks of the metrics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf
from waldur_chat.checks.severity import problem
from waldur_chat.metrics import is_installed

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


@register(Tags.compatibility)
def check_metrics(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E040. Metrics are on, and their library is not there."""
    if not _are_on() or is_installed():
        return []
    hint = 'pip install "waldur-chat[metrics]", or leave METRICS out.'
    return [problem("WALDUR_CHAT['METRICS']: prometheus_client is not installed.", hint, "E040")]


@register(Tags.compatibility)
def check_metrics_directory(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W041. Only a warning: the environment of the server may be another."""
    directory = os.environ.get(DIRECTORY)
    if not _are_on() or directory is None or os.access(directory, os.W_OK | os.X_OK):
        return []
    hint = "Make the directory before the server starts, and empty it at each start. docs/metrics.md has an example."
    return [Warning(f"{DIRECTORY} is no directory that can be written: {directory}", hint=hint, id="waldur_chat.W041")]


def _are_on() -> bool:
    try:
        return bool(conf.site_value("METRICS"))
    except ImproperlyConfigured:  # E001 reports it.
        return False
