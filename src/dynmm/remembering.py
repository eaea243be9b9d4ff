"""What was computed a moment ago: user vectors of the newest histories that were asked about.

One request reads where its user stands for the ranking and again for the re-ranker, and an event that follows teaches
from the same state. Reading a long history takes longer than all else in a request. B users, D width.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dynmm.types import IntArray

#: Histories that are remembered. Larger batches are measurements, which ask about each history once.
_ENTRIES = 32


class RecentVectors:
    """Vectors of users by their history, the latest used ones. Safe to use from several threads.

    Only for vectors that are the same whoever else is in the batch. Kept are vectors and histories of a moment, never
    on a disk.
    """

    only_remembers: ClassVar[bool] = True

    def __init__(self, newest: int, entries: int = _ENTRIES) -> None:
        """newest: items of a history that a vector depends on, the last ones."""
        self._newest, self._entries = newest, entries
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget every history."""
        with self._lock:
            self._known.clear()

    def of(self, histories: Sequence[IntArray], read: Callable[[Sequence[IntArray]], Tensor]) -> Tensor:
        """(B, D) what ``read`` gives, which is asked only about what is not remembered."""
        if not 0 < len(histories) <= self._entries:
            return read(histories)
        keys = [np.ascontiguousarray(one[-self._newest :], dtype=np.int64).tobytes() for one in histories]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        unknown = {key: row for row, key in enumerate(keys) if key not in found}
        if unknown:
            # Clones, so that no entry holds on to a whole batch.
            vectors = read([histories[row] for row in unknown.values()])
            found |= {key: vector.clone() for key, vector in zip(unknown, vectors, strict=True)}
        with self._lock:
            for key in keys:
                self._known[key] = found[key]
                self._known.move_to_end(key)
            while len(self._known) > self._entries:
                self._known.popitem(last=False)
        return torch.stack([found[key] for key in keys])
