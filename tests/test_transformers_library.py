"""What the transformers library raises is named, and what is no fault of the files stays what it is."""

from __future__ import annotations

import pytest
import torch

from dynmm.encoders.transformer import refused
from dynmm.errors import ConfigError, DataError, ModelError
from dynmm.language.loading import errors_named
from dynmm.memory import OutOfMemory

_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 1 TB")


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), Exception("a part in Rust"), KeyError("x")])
def test_whatever_it_raises_is_named_by_kind_and_folder(error: Exception) -> None:
    said = r"^folder is no model: .*; copy the folder again"
    with pytest.raises(ConfigError, match=said) as raised, refused("folder is no model"):
        raise error
    assert raised.value.__cause__ is error
    with pytest.raises(ModelError, match=r"folder is no model: [^;]*$"), errors_named("folder is no model"):
        raise error


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA"), _CPU, OutOfMemory("a batch")])
def test_running_out_of_memory_is_no_fault_of_the_folder(error: Exception) -> None:
    for named in (refused("folder is no model"), errors_named("folder is no model")):
        with pytest.raises(type(error)) as raised, named:
            raise error
        assert raised.value is error


def test_an_error_of_our_own_is_told_as_it_is_but_where_it_lacks_the_folder() -> None:
    own = DataError("texts are words")
    with pytest.raises(DataError, match=r"^texts are words$"), refused("folder is no model"):
        raise own
    with pytest.raises(ModelError, match=r"^folder: texts are words$"), errors_named("folder"):
        raise own
