"""What is known of items that came after the fit, kept beside the log that tells when they came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dynmm.artefact import open_sealed, seal
from dynmm.catalogue.features import Features
from dynmm.errors import ArtefactError
from dynmm.fusion.keeping import load_features, save_features
from dynmm.runfiles import read_added, write_added
from dynmm.storage import new_folder

#: The folder in `state/`.
ADDED_DIR = "added"


@dataclass(frozen=True, eq=False)
class Arrival:
    """Items that came after the fit, together: rows of the item table, and what encoders made of them."""

    table: pl.DataFrame
    features: tuple[Features, ...]


def write_arrival(arrival: Arrival, home: Path, number: int) -> None:
    """Keep what is known of items that came after the fit, whole or not at all. Raises StorageError."""
    with new_folder(home / ADDED_DIR / f"{number:06d}") as folder:
        write_added(folder, arrival.table)
        save_features(arrival.features, folder)
        seal(folder, {})


def read_arrivals(home: Path) -> list[Arrival]:
    """All that `write_arrival` kept, in the order of their numbers. Raises ArtefactError, TamperedArtefact."""
    found = []
    for number, folder in enumerate(sorted((home / ADDED_DIR).glob("[0-9]*"))):
        if folder.name != f"{number:06d}":
            raise ArtefactError(f"{home / ADDED_DIR / f'{number:06d}'} is missing; restore the run from a copy")
        open_sealed(folder)
        found.append(Arrival(read_added(folder), load_features(folder)))
    return found
