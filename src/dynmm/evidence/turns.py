"""Whose turn it is: statistics that are read while others learn are touched by one thread at a time."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import ClassVar


class Turn:
    """A lock within `with`, which its owner may take again. A deep copy of the owner has one of its own."""

    #: It holds nothing that an answer follows from.
    only_remembers: ClassVar[bool] = True

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def __deepcopy__(self, memo: object) -> Turn:
        return Turn()
