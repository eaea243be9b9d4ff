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
from dynmm.storage import new_folder, sweep

#: The folder in `state/`.
ADDED_DIR = "added"


@dataclass(frozen=True, eq=False)
class Arrival:
    """Items that came after the fit, together: rows of the item table, and what encoders made of them."""

    table: pl.DataFrame
    features: tuple[Features, ...]


def write_arrival(arrival: Arrival, home: Path, number: int) -> None:
    """Keep what is known of items that came after the fit, whole or not at all. Raises StorageError."""
    target = arrival_folder(home, number)
    sweep(target)  # what a kill left
    with new_folder(target) as folder:
        write_added(folder, arrival.table)
        save_features(arrival.features, folder)
        seal(folder, {})


def arrival_folder(home: Path, number: int) -> Path:
    """Where `write_arrival` keeps one."""
    return home / ADDED_DIR / f"{number:06d}"


def read_arrivals(home: Path, start: int, stop: int) -> list[Arrival]:
    """What `write_arrival` kept under these numbers. Raises ArtefactError, TamperedArtefact.

    For numbers that the log tells of: one that it does not may be left by a kill, and be replaced at any moment.
    """
    found = []
    for number in range(start, stop):
        folder = arrival_folder(home, number)
        if not folder.is_dir():
            raise ArtefactError(
                f"the log tells of items whose descriptions are not there: {folder} is missing; restore the run from a "
                "copy"
            )
        open_sealed(folder)
        found.append(Arrival(read_added(folder), load_features(folder)))
    return found
