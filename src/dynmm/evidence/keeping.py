"""Arrays and a card in one folder, and one way to say that they cannot be read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dynmm.errors import ArtefactError, reason
from dynmm.storage import named_disk_errors, write_json


def write_arrays(folder: Path, name: str, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> None:
    """`<name>.safetensors` and `<name>.json`, into an existing or new folder. Raises StorageError."""
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    with named_disk_errors(path):
        save_file({key: np.ascontiguousarray(part) for key, part in arrays.items()}, path)
    write_json(folder / f"{name}.json", dict(card))


def read_arrays(folder: Path, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What `write_arrays` wrote. To be called within `named_damage`."""
    card = json.loads((folder / f"{name}.json").read_bytes())
    return load_file(folder / f"{name}.safetensors"), card


def insist(holds: bool, what: str) -> None:
    """Raise ValueError unless what was read holds together."""
    if not holds:
        raise ValueError(f"{what} do not fit together")


@contextlib.contextmanager
def named_damage(folder: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong while reading into an ArtefactError that names the folder and the mend."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, SafetensorError) as error:
        raise ArtefactError(
            f"the {what} in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error
