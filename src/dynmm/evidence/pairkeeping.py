"""Pair statistics on disk: arrays as safetensors, everything else as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dynmm.errors import ArtefactError
from dynmm.evidence.fading import Fading
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.pairtable import COLUMNS, PairTable
from dynmm.evidence.sequences import Sequences
from dynmm.evidence.weighing import PairSettings
from dynmm.storage import named_disk_errors, write_json

_ARRAYS, _CARD = "pairs.safetensors", "pairs.json"
_PARTS = ("sources", "starts", "items")


def save_pairs(statistics: PairStatistics, folder: Path) -> None:
    """Write into an existing or new folder. Raises StorageError."""
    statistics.settle()
    arrays = {f"sequences.{name}": part for name, part in statistics.sequences.arrays().items()}
    for number, table in enumerate(statistics.tables):
        parts: tuple[NDArray[Any], ...] = (table.sources, table.starts, table.items, *table.columns)
        arrays |= {f"{number}.{name}": part for name, part in zip((*_PARTS, *COLUMNS), parts, strict=True)}
    fading = statistics.fading
    card = {
        "settings": statistics.settings.model_dump(mode="json"),
        "ordered": statistics.ordered,
        "since": statistics.since,
        "tables": len(statistics.tables),
        "fading": None if fading is None else {"origin": fading.origin, "newest": fading.newest},
    }
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with named_disk_errors(folder / _ARRAYS):
        save_file({name: np.ascontiguousarray(part) for name, part in arrays.items()}, folder / _ARRAYS)
    write_json(folder / _CARD, card)


def load_pairs(folder: Path) -> PairStatistics:
    """Read what `save_pairs` wrote. Raises ArtefactError, which names the folder that cannot be used."""
    try:
        card = json.loads((folder / _CARD).read_bytes())
        arrays = load_file(folder / _ARRAYS)
        settings = PairSettings.model_validate(card["settings"])
        tables = [_table(arrays, number) for number in range(card["tables"])]
        offsets, items = arrays["sequences.offsets"], arrays["sequences.items"]
        _insist(len(offsets) > 0 and offsets[-1] == len(items) and len(tables) > 0, "sequences")
        fading = None
        if card["fading"] is not None:
            fading = Fading(float(settings.half_life_ms or 0), **card["fading"])
        return PairStatistics(
            settings,
            tables,
            Sequences(offsets, items),
            ordered=card["ordered"],
            fading=fading,
            since=card["since"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArtefactError(
            f"the pair statistics in {folder} cannot be read: {error}; copy the run again, or fit it again"
        ) from error


def _table(arrays: dict[str, NDArray[Any]], number: int) -> PairTable:
    sources, starts, items = (arrays[f"{number}.{name}"] for name in _PARTS)
    columns = tuple(arrays[f"{number}.{name}"] for name in COLUMNS)
    _insist(len(starts) == len(sources) + 1 and starts[-1] == len(items), f"the rows of table {number}")
    _insist({len(column) for column in columns} == {len(items)}, f"the columns of table {number}")
    return PairTable(sources, starts, items, columns)


def _insist(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} do not fit together")
