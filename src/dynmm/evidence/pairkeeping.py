"""Pair statistics on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dynmm.evidence.fading import Fading
from dynmm.evidence.keeping import insist, named_damage, read_arrays, write_arrays
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.pairtable import COLUMNS, PairTable
from dynmm.evidence.sequences import Sequences
from dynmm.evidence.weighing import PairSettings

_NAME = "pairs"
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
    write_arrays(folder, _NAME, arrays, card)


def load_pairs(folder: Path) -> PairStatistics:
    """Read what `save_pairs` wrote. Raises ArtefactError, which names the folder that cannot be used."""
    with named_damage(folder, "pair statistics"):
        arrays, card = read_arrays(folder, _NAME)
        settings = PairSettings.model_validate(card["settings"])
        tables = [_table(arrays, number) for number in range(card["tables"])]
        offsets, items = arrays["sequences.offsets"], arrays["sequences.items"]
        insist(len(offsets) > 0 and offsets[-1] == len(items) and len(tables) > 0, "sequences")
        insist((card["fading"] is None) == (settings.half_life_ms is None), "settings and weights")
        fading = None if settings.half_life_ms is None else Fading(settings.half_life_ms, **card["fading"])
        return PairStatistics(
            settings,
            tables,
            Sequences(offsets, items),
            ordered=bool(card["ordered"]),
            fading=fading,
            since=card["since"],
        )


def _table(arrays: dict[str, NDArray[Any]], number: int) -> PairTable:
    sources, starts, items = (arrays[f"{number}.{name}"] for name in _PARTS)
    columns = tuple(arrays[f"{number}.{name}"] for name in COLUMNS)
    insist(len(starts) == len(sources) + 1 and starts[-1] == len(items), f"rows of table {number}")
    insist({len(column) for column in columns} == {len(items)}, f"columns of table {number}")
    return PairTable(sources, starts, items, columns)
