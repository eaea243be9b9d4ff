"""Where memory runs out, told so that the caller can try with less."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dynmm.errors import ModelError

#: What the allocators of torch say on a processor, in a plain RuntimeError.
_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


class OutOfMemory(ModelError):
    """A batch that does not fit into memory. Half of it may."""


@contextlib.contextmanager
def memory_named(what: str) -> Iterator[None]:
    """Turn running out of memory within the block into an OutOfMemory that names what was too large."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not ran_out(error):
            raise
        raise OutOfMemory(f"{what} does not fit into memory; use a smaller batch, or bfloat16") from error


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
