"""The metrics as text, of this process or of all that share `PROMETHEUS_MULTIPROC_DIR`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics of the process, the host's too, in the format that the scraper accepts; and its media type."""
    registry, directory = REGISTRY, os.environ.get(DIRECTORY)
    if directory:
        forget_dead(Path(directory))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


def forget_dead(directory: Path) -> None:
    """Remove what processes that have died say of the present: not every server has a hook for that."""
    found = (re.fullmatch(r"gauge_live\w*?_(\d+)\.db", one.name) for one in directory.iterdir())
    for process in {int(match[1]) for match in found if match}:
        if not _is_alive(process):
            with suppress(FileNotFoundError):  # Another scrape has removed it.
                mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
