"""How many distinct people stand behind any of several items of a history, for many candidates at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.evidence.ascending import among, distinct
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.postings import merged_keys
from dynmm.types import IntArray


def union_counts(
    ledger: Ledger,
    sources: IntArray,
    candidates: IntArray,
    window: int,
    as_of: int | None = None,
    *,
    without_user: int | None = None,
) -> NDArray[np.int64]:
    """(C,) distinct users who took at least one source and the candidate within so many events of it.

    sources: (S,) dense items, repeats allowed. candidates: (C,). A candidate that is a source too counts beside its
    own events only others of them. Raises DataError where the log cannot be read as of that offset.
    """
    sources, candidates = distinct(sources), np.asarray(candidates, dtype=np.int64)
    theirs = np.sort(merged_keys(ledger.postings, sources, as_of)[0])
    ours, lengths = merged_keys(ledger.postings, candidates, as_of)
    owners = np.repeat(np.arange(len(candidates)), lengths)
    met = np.searchsorted(theirs, ours + window, side="right") - np.searchsorted(theirs, ours - window)
    own = among(candidates, sources)[owners]
    counted = met > own
    if without_user is not None:
        counted &= ours >> 32 != without_user
    owners, users = owners[counted], ours[counted] >> 32
    # Each candidate's events come user by user, so a person's further events follow at once.
    first = np.ones(len(users), dtype=bool)
    first[1:] = (owners[1:] != owners[:-1]) | (users[1:] != users[:-1])
    return np.bincount(owners[first], minlength=len(candidates))
