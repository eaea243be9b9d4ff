"""Questions read a few at a time, and fewer where memory does not hold them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from dynmm.errors import ModelError
from dynmm.memory import ran_out

logger = logging.getLogger(__name__)

_Read = TypeVar("_Read")


def in_pieces(read: Callable[[slice], _Read], count: int, batch: int) -> list[_Read]:
    """What ``read`` finds in so many rows, a batch at a time, in their order.

    Where memory does not hold a batch, it and those after it are read in smaller ones. Raises ModelError where memory
    does not hold even one row.
    """
    found: list[_Read] = []
    at, size = 0, batch
    while at < count:
        try:
            found.append(read(slice(at, at + size)))
        except (MemoryError, RuntimeError, ModelError) as error:
            if not ran_out(error):
                raise
            if size == 1:
                raise ModelError(
                    f"a re-ranker cannot be asked even one question: {error}; lower reranking.candidates, or take a "
                    "smaller language.model"
                ) from error
            size = max(1, min(size, count - at) // 2)
            logger.warning("%s; going on with %d questions at a time", error, size)
        else:
            at += size
    return found
