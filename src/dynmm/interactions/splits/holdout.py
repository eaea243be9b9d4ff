"""`holdout`: 80/10/10, cut within each user, at two moments for all, or where the data itself says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, events_per_user, from_the_end, split_of, times_of
from dynmm.interactions.splits.everything import selection_slice
from dynmm.interactions.splits.requirements import need_order, need_time
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import TEST, TRAIN, VALIDATION, Split


def holdout(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """The kind that `config.by` names. Raises UnsupportedByData where the data lacks what it needs."""
    by = config.by
    if by == "auto":
        by = "given" if dataset.given_split is not None else "user"
    if by == "given":
        return _given(dataset, config, seed)
    return _by_time(dataset, config) if by == "time" else _by_user(dataset, config)


def _by_user(dataset: Dataset, config: SplitConfig) -> Split:
    need_order(dataset, "split 'holdout' by user")
    counts = events_per_user(dataset)
    enough = counts >= config.min_events
    n_test = np.where(enough, np.maximum(1, np.round(counts * config.test_share)), 0)
    n_held = np.where(enough, n_test + np.maximum(1, np.round(counts * config.validation_share)), 0)
    users, behind = dataset.events.users, from_the_end(dataset)
    parts = np.full(len(users), TRAIN, np.int8)
    parts[behind < n_held[users]] = VALIDATION
    parts[behind < n_test[users]] = TEST
    if not enough.any():
        raise UnsupportedByData(
            f"split 'holdout' by user needs users with at least {config.min_events} events; "
            f"{dataset.info.name!r} has none. Use by 'time' or split 'none'"
        )
    return split_of(
        "holdout",
        "user",
        dataset,
        parts,
        cases_of(dataset, parts == TRAIN, parts == VALIDATION),
        cases_of(dataset, parts != TEST, parts == TEST),
        f"of each user's events the last {config.test_share:.0%} test, the {config.validation_share:.0%} before "
        "them select, the rest trains",
        counts={"users who only train": int((~enough).sum())},
    )


def time_cut(times: NDArray[np.int64], share: float, purpose: str) -> int:
    """The moment before which `share` of the events lie; events of that very moment all come after it.

    Raises UnsupportedByData where that leaves one side empty.
    """
    moment = int(np.sort(times)[min(int(share * len(times)), len(times) - 1)])
    if not (times < moment).any():
        raise UnsupportedByData(
            f"{purpose} finds no moment to cut at: the first {share:.0%} of the events share one timestamp"
        )
    return moment


def _by_time(dataset: Dataset, config: SplitConfig) -> Split:
    purpose = "split 'holdout' by time"
    need_time(dataset, purpose)
    times = times_of(dataset)
    assert times is not None
    test_from = time_cut(times, 1 - config.test_share, purpose)
    validation_from = time_cut(times, 1 - config.test_share - config.validation_share, purpose)
    if validation_from == test_from:
        raise UnsupportedByData(f"{purpose} finds no moment between validation and test: too many equal timestamps")
    parts = np.full(len(times), TRAIN, np.int8)
    parts[times >= validation_from] = VALIDATION
    parts[times >= test_from] = TEST
    validation = cases_of(dataset, parts == TRAIN, parts == VALIDATION, validation_from)
    test = cases_of(dataset, parts != TEST, parts == TEST, test_from)
    if len(test) == 0:
        raise UnsupportedByData(f"{purpose} finds no user with events on both sides of the test's first moment")
    return split_of(
        "holdout",
        "time",
        dataset,
        parts,
        validation,
        test,
        f"the last {config.test_share:.0%} of all events by time test, the {config.validation_share:.0%} before "
        "them select, the rest trains; one question per user, asked at the boundary",
        counts={"validation from (ms UTC)": validation_from, "test from (ms UTC)": test_from},
    )


def _given(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    given = dataset.given_split
    if given is None:
        raise UnsupportedByData(
            f"split 'holdout' by the data's own split needs a column 'split'; {dataset.info.name!r} has none. "
            "Use by 'user' or 'time'"
        )
    parts = np.full(len(given), TRAIN, np.int8)
    parts[given == "val"] = VALIDATION
    parts[given == "test"] = TEST
    notes: tuple[str, ...] = ()
    if not (parts == TEST).any():
        raise UnsupportedByData(
            f"the split column of {dataset.info.name!r} has no 'test' rows; use by 'user' or 'time'"
        )
    if not (parts == VALIDATION).any():
        rest = dataset.keep(parts == TRAIN)
        parts[np.flatnonzero(parts == TRAIN)[selection_slice(rest, config.selection_share, seed)]] = VALIDATION
        notes += ("the given split has no validation part: one training event of a sample of users selects instead",)
    if dataset.has_order and (out_of_order := _out_of_order(dataset, parts)):
        notes += (f"{out_of_order:,} users have training or validation events after their first test event",)
    if not dataset.has_order:
        notes += ("the order of a user's events is not known: histories are sets",)
    return split_of(
        "holdout",
        "given",
        dataset,
        parts,
        cases_of(dataset, parts == TRAIN, parts == VALIDATION),
        cases_of(dataset, parts != TEST, parts == TEST),
        "the parts that the data itself names in its column 'split'",
        notes=notes,
    )


def _out_of_order(dataset: Dataset, parts: NDArray[np.int8]) -> int:
    users = dataset.events.users
    rows = np.arange(len(users))
    first_test = np.full(dataset.n_users, len(users))
    np.minimum.at(first_test, users[parts == TEST], rows[parts == TEST])
    late = (parts != TEST) & (rows > first_test[users])
    return len(np.unique(users[late]))
