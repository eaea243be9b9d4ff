"""Parts of an object that are made when they are first asked for, by whichever thread, and by that one alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class made_once(cached_property[T]):  # noqa: N801  # stands where `cached_property` does
    """A `cached_property` for what counts, remembers or grows: all threads get one object.

    From Python 3.12 on `cached_property` has no lock, and several threads may make a value each. While one makes it the
    others wait, those with another object of the class, too.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__(make)
        self._making = threading.RLock()

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with self._making:
            return super().__get__(instance, owner)
