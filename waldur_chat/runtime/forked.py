"""Objects of which each process has its own.

A forked child has none of its parent's threads, and a lock that another thread held during the fork stays locked
forever. So objects with threads or locks are created anew in the child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Calling it returns this process's object. `factory` creates one at once, and a new one in each forked child."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory
        self.reset()
        os.register_at_fork(after_in_child=self.reset)

    def __call__(self) -> T:
        return self._object

    def reset(self) -> None:
        """Replace the object by a new one."""
        self._object = self._factory()
