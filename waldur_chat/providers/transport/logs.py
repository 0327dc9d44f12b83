"""Keep records of HTTP clients out of the site's log: they contain addresses at INFO, and prompts at DEBUG."""

from __future__ import annotations

import logging
from contextvars import ContextVar

CLIENTS = ("httpx", "httpx2", "openai", "openai._base_client", "openai._response", "openai._legacy_response")
CORES = ("httpcore", "httpcore2")
PARTS_OF_CORES = ("connection", "http11", "http2", "proxy", "socks")

_LOGGERS = [
    logging.getLogger(name) for name in (*CLIENTS, *(f"{core}.{part}" for core in CORES for part in PARTS_OF_CORES))
]
"""Every logger that the clients use, since a filter of a logger does not apply to the loggers below it."""

_is_muted: ContextVar[bool] = ContextVar("waldur_chat_client_logs_muted", default=False)


def mute_client_logs() -> None:
    """Drop the clients' records below WARNING, for the rest of the calling task.

    The host's own use of the same libraries is in other tasks, and logged as before.
    """
    for logger in _LOGGERS:  # Each time, since the site may have configured logging again.
        if _is_wanted not in logger.filters:
            logger.addFilter(_is_wanted)
    keep_muted()


def keep_muted() -> None:
    """Drop the records of another task of the same turn, for which the filters are in place."""
    _is_muted.set(True)


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _is_muted.get()
