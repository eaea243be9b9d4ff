"""What an importer returns, and the one shape that all importers have."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from dynmm.interactions.dataset import DatasetInfo


@dataclass(frozen=True, eq=False)
class Imported:
    """A source in the canonical columns, in the order of its file, before the checks at the door.

    interactions: columns of `fields.INTERACTION_SCHEMA`, as far as the source has them. items: columns of
    `fields.ITEM_SCHEMA` and any further attribute. users, tags: as the source has them, user_id and item_id
    as strings. left_out: rows that were not taken over, by reason.
    """

    interactions: pl.DataFrame
    info: DatasetInfo
    items: pl.DataFrame | None = None
    users: pl.DataFrame | None = None
    tags: pl.DataFrame | None = None
    left_out: dict[str, int] = field(default_factory=dict)


class Importer(Protocol):
    """A function that reads one source format. Options of its own are keyword arguments with defaults."""

    def __call__(self, source: Path, *, skip_bad: bool = False, **options: Any) -> Imported:
        """Read `source`, a file or a folder.

        Raises DataError, which names file, line, column, value and the mend, at the first malformed row;
        with `skip_bad` such rows are counted in `Imported.left_out` instead.
        """
        ...


def merge_counts(*counts: dict[str, int]) -> dict[str, int]:
    """The sum of several counts by reason."""
    total: dict[str, int] = {}
    for one in counts:
        for reason, number in one.items():
            total[reason] = total.get(reason, 0) + number
    return total
