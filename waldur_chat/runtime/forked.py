"""Objects of which each process has one of its own.

A forked child has none of its parent's threads, and a lock that another thread held at that moment stays locked for
ever. So what has threads or locks is made anew in the child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Called without arguments, gives this process's object. `factory` makes it: at once, and in each forked child."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory
        self.reset()
        os.register_at_fork(after_in_child=self.reset)

    def __call__(self) -> T:
        return self._object

    def reset(self) -> None:
        """Forget the present object, and make a new one."""
        self._object = self._factory()
