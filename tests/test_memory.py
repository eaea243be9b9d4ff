"""Running out of memory is told from other failures, whichever allocator says so."""

from __future__ import annotations

import pytest
import torch

from dynmm.errors import ModelError
from dynmm.memory import OutOfMemory, memory_named, ran_out

_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
_OTHERS = (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"), KeyError("x"))


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA"), _CPU, OutOfMemory("a batch")])
def test_it_is_named_with_what_was_too_large(error: Exception) -> None:
    assert ran_out(error)
    if isinstance(error, OutOfMemory):
        return
    said = "a batch of 8 does not fit into memory; use a smaller batch"
    with pytest.raises(OutOfMemory, match=said) as raised, memory_named("a batch of 8"):
        raise error
    assert isinstance(raised.value, ModelError)


@pytest.mark.parametrize("error", _OTHERS)
def test_other_failures_stay_what_they_are(error: Exception) -> None:
    assert not ran_out(error)
    with pytest.raises(type(error)), memory_named("a batch of 8"):
        raise error


def test_a_real_allocation_that_is_refused_is_recognised() -> None:
    with pytest.raises(OutOfMemory), memory_named("a tensor"):
        torch.empty(2**55, dtype=torch.float32)
