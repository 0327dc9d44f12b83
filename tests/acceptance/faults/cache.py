"""A cache that can go: like Redis when its server is down, every operation raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.cache.backends.locmem import LocMemCache


class FragileCache(LocMemCache):
    """Keeps values in memory; gone while the file exists that is its location."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(name, params)
        self._gone = Path(name)

    def make_and_validate_key(self, key: str, version: int | None = None) -> str:
        """What every operation does first."""
        if self._gone.is_file():
            raise ConnectionError("The cache is gone.")
        return str(super().make_and_validate_key(key, version))
