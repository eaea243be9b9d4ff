"""From marks on events to cases and splits: the vectorised work that all splits share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import UnsupportedByData
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import SplitName
from dynmm.interactions.splits.split import TEST, TRAIN, UNUSED, VALIDATION, Split
from dynmm.types import BoolArray, Events, IntArray

#: With fewer test cases a split says so.
_FEW_CASES = 100


def cases_of(dataset: Dataset, history: BoolArray, targets: BoolArray, as_of: int | None = None) -> Cases:
    """One case for each user with a target and a history.

    history, targets: (N,) marks on the events of `dataset`. An item that is a user's target twice stands
    once. as_of: the moment of every question; by default the timestamp of each case's first target.
    """
    users, items = dataset.events.users, dataset.events.items
    times = times_of(dataset)
    asked = np.zeros(dataset.n_users, bool)
    asked[users[targets]] = True
    knows = np.zeros(dataset.n_users, bool)
    knows[users[history]] = True
    asked &= knows
    chosen = np.flatnonzero(asked).astype(np.int32)
    history_rows = np.flatnonzero(history & asked[users])
    target_rows = _distinct(users, items, np.flatnonzero(targets & asked[users]), dataset.n_items)
    target_offsets = _offsets(users[target_rows], chosen, dataset.n_users)
    moments = None
    if times is not None:
        first = times[target_rows[target_offsets[:-1]]]
        moments = first if as_of is None else np.full(len(chosen), as_of, np.int64)
    return Cases(
        users=chosen,
        history_items=items[history_rows].astype(np.int32, copy=False),
        history_offsets=_offsets(users[history_rows], chosen, dataset.n_users),
        target_items=items[target_rows].astype(np.int32, copy=False),
        target_offsets=target_offsets,
        history_times=None if times is None else times[history_rows],
        as_of=moments,
    )


def _offsets(users: IntArray, chosen: IntArray, n_users: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users)[chosen])]).astype(np.int64)


def times_of(dataset: Dataset) -> NDArray[np.int64] | None:
    """(N,) ms UTC, or None unless every event has a timestamp."""
    times = dataset.events.timestamps
    return times.astype(np.int64, copy=False) if dataset.has_time and times is not None else None


def _distinct(users: IntArray, items: IntArray, rows: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
    pairs = users[rows].astype(np.int64) * n_items + items[rows]
    first: NDArray[np.int64] = np.sort(np.unique(pairs, return_index=True)[1])
    return rows[first]


def from_the_end(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) how many events of the same user follow each event: 0 for the newest."""
    ends = dataset.offsets[1:]
    return ends[dataset.events.users] - 1 - np.arange(len(dataset.events))


def events_per_user(dataset: Dataset) -> NDArray[np.int64]:
    """(U,) number of events."""
    return np.diff(dataset.offsets)


def split_of(
    name: SplitName,
    variant: str,
    dataset: Dataset,
    parts: NDArray[np.int8],
    validation: Cases,
    test: Cases | None,
    description: str,
    *,
    stream: Events | None = None,
    refit_train: Dataset | None = None,
    cold_items: BoolArray | None = None,
    counts: dict[str, int] | None = None,
    notes: tuple[str, ...] = (),
) -> Split:
    """A split from the part of each event, with the counts that every split has."""
    if not (parts == TRAIN).any():
        raise UnsupportedByData(f"split {name!r} of {dataset.info.name!r} leaves no event to train on; hold out less")
    train = dataset.keep(parts == TRAIN, validation=validation)
    tallies = {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "events": len(parts),
        "train events": int((parts == TRAIN).sum()),
        "validation events": int((parts == VALIDATION).sum()),
        "validation cases": len(validation),
        "stream events" if stream is not None else "test events": int((parts == TEST).sum()),
        "unused events": int((parts == UNUSED).sum()),
    }
    if test is not None:
        tallies["test cases"] = len(test)
        if len(test) < _FEW_CASES:
            notes += (f"only {len(test):,} users can be tested: expect wide intervals",)
        tallies |= _repeats(dataset, test, parts == TEST)
    return Split(
        name=name,
        variant=variant,
        source=dataset,
        parts=parts,
        train=train,
        validation=validation,
        test=test,
        description=description,
        stream=stream,
        refit_train=None if refit_train is None else replace(refit_train, validation=None),
        cold_items=cold_items,
        counts={**tallies, **(counts or {})},
        notes=notes,
    )


def _repeats(dataset: Dataset, test: Cases, marks: BoolArray) -> dict[str, int]:
    """Targets that no system can hit because its candidates leave out the history; test events without a case."""
    n_items = dataset.n_items
    owners = np.repeat(np.arange(len(test)), np.diff(test.history_offsets))
    seen = owners * n_items + test.history_items
    asking = np.repeat(np.arange(len(test)), np.diff(test.target_offsets))
    wanted = asking * n_items + test.target_items
    has_case = np.zeros(dataset.n_users, bool)
    has_case[test.users] = True
    return {
        "test targets already in the history": _shared(wanted, seen),
        "test events of users without history": int((~has_case[dataset.events.users[marks]]).sum()),
    }


def _shared(few: NDArray[np.int64], many: NDArray[np.int64]) -> int:
    """How many of `few` (distinct) occur in `many`, without sorting the many."""
    if len(few) == 0:
        return 0
    few = np.sort(few)
    places = np.minimum(np.searchsorted(few, many), len(few) - 1)
    hit = np.zeros(len(few), bool)
    hit[places[few[places] == many]] = True
    return int(hit.sum())
