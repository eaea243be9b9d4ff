"""Tables of numbers as files: NumPy's own format, written in pieces, mapped into memory to be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from dynmm.errors import ArtefactError
from dynmm.storage import named_disk_errors

#: Rows that are turned into another form at a time, so that memory never holds two forms of the whole.
CHUNK_ROWS = 16_384


def chunks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The rows in order, `CHUNK_ROWS` at a time. rows: (N, W)."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield rows[start : start + CHUNK_ROWS]


def write_rows(path: Path, dtype: DTypeLike, shape: tuple[int, int], pieces: Iterable[NDArray[Any]]) -> None:
    """Write the pieces one below the other as an .npy file of this shape. Raises StorageError."""
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    written = 0
    with named_disk_errors(path), path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for piece in pieces:
            written += len(piece)
            file.write(np.ascontiguousarray(piece, dtype=dtype).data)
    assert written == shape[0], "the header promises another number of rows than came"


def map_rows(path: Path, dtype: DTypeLike, shape: tuple[int, int]) -> NDArray[Any]:
    """The rows of a file that `write_rows` wrote, mapped, so that what is never read takes no memory.

    Writing to the result changes this process's view alone. Raises ArtefactError, which names the file, where
    it is missing, cut short, or holds something else.
    """
    try:
        start = _checked_start(path, np.dtype(dtype), shape)
        if 0 in shape:  # nothing cannot be mapped
            return np.empty(shape, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="c", offset=start, shape=shape)
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"{path} cannot be read: {error}; restore the run from a copy, or build the index anew"
        ) from error


def _checked_start(path: Path, dtype: np.dtype[Any], shape: tuple[int, int]) -> int:
    """Where the numbers begin in a file of exactly this form. Raises OSError or ValueError in words."""
    with path.open("rb") as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("another version of the .npy format")
        found, by_columns, kind = npy.read_array_header_1_0(file)
        start = file.tell()
    if found != shape or kind != dtype or by_columns:
        raise ValueError(f"it should hold {dtype} {shape} and holds {kind} {found}")
    expected = start + dtype.itemsize * shape[0] * shape[1]
    if path.stat().st_size != expected:
        raise ValueError(f"it has {path.stat().st_size} bytes instead of {expected}")
    return start
