"""Data sets for benchmarks and experiments: folders, or names of folders under DYNMM_DATA."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from dynmm.interactions.fields import INTERACTIONS_FILE


def data_folder(name: str) -> Path | None:
    """The folder of this name, itself or under DYNMM_DATA; None where neither holds a data set."""
    for folder in (Path(name), Path(os.environ.get("DYNMM_DATA", "")) / name):
        if (folder / INTERACTIONS_FILE).is_file():
            return folder
    return None


def data_folders(names: Iterable[str]) -> Iterator[Path]:
    """Those of these data sets that are there; of each other one it is said that it is left out."""
    for name in names:
        folder = data_folder(name)
        if folder is None:
            sys.stderr.write(f"{name}: left out, DYNMM_DATA does not lead to it\n")
        else:
            yield folder
