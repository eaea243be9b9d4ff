"""The ledger on disk."""

from __future__ import annotations

from pathlib import Path

from dynmm.evidence.keeping import named_damage, read_arrays, write_arrays
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.postings import Postings

_NAME = "ledger"


def save_ledger(ledger: Ledger, folder: Path) -> None:
    """Write into an existing or new folder. Raises StorageError."""
    write_arrays(folder, _NAME, ledger.postings.arrays(), {"ordered": ledger.ordered})


def load_ledger(folder: Path) -> Ledger:
    """Read what `save_ledger` wrote. Raises ArtefactError."""
    with named_damage(folder, "ledger"):
        arrays, card = read_arrays(folder, _NAME)
        return Ledger(Postings.restored(arrays), ordered=bool(card["ordered"]))
