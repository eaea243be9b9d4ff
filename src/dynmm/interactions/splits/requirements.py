"""What each split needs of the data, refused in words where it is not there."""

from __future__ import annotations

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset

_KNOWN = {
    "none": "it has neither timestamps nor positions",
    "partial": "only some of its rows have a timestamp",
    "order": "only the order within each user is known, not the time",
}


def need_order(dataset: Dataset, purpose: str) -> None:
    """Raises UnsupportedByData unless the order within each user is known."""
    if not dataset.has_order:
        raise UnsupportedByData(_reason(dataset, purpose, "the order of each user's events", "timestamps or positions"))


def need_time(dataset: Dataset, purpose: str) -> None:
    """Raises UnsupportedByData unless every event has a timestamp."""
    if not dataset.has_time:
        raise UnsupportedByData(_reason(dataset, purpose, "a timestamp for every event", "timestamps"))


def _reason(dataset: Dataset, purpose: str, needs: str, mend: str) -> str:
    known = _KNOWN[dataset.info.time_resolution]
    return f"{purpose} needs {needs}; {dataset.info.name!r} cannot support it: {known}. Add {mend}, or split otherwise"
