"""What an evaluation asks: for each case a history, a moment and the items that came next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.system import Query
from dynmm.types import Events, IntArray, UserHistory


@dataclass(frozen=True, eq=False)
class Cases:
    """Q questions with their answers, as flat arrays (ragged rows by offsets).

    users: (Q,) dense users. history_items and history_times: the histories laid end to end, case q has
    `[history_offsets[q]:history_offsets[q+1]]`; history_times None where the data has no time.
    target_items likewise with target_offsets. as_of: (Q,) int64 ms UTC or None. Where the questions follow one another
    in time, along: the events that happen meanwhile, in their order, and passed: (Q,) how many of them each question
    may know of; None where they do not.
    """

    users: NDArray[np.int32]
    history_items: NDArray[np.int32]
    history_offsets: NDArray[np.int64]
    target_items: NDArray[np.int32]
    target_offsets: NDArray[np.int64]
    history_times: NDArray[np.int64] | None = None
    as_of: NDArray[np.int64] | None = None
    along: Events | None = None
    passed: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def take(self, cases: IntArray) -> Cases:
        """Some of the questions, in the order given."""

        def ragged(offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            lengths = np.diff(offsets)[cases]
            starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            return np.repeat(offsets[:-1][cases] - starts[:-1], lengths) + np.arange(starts[-1]), starts

        rows, starts = ragged(self.history_offsets)
        targets, target_starts = ragged(self.target_offsets)
        return Cases(
            users=self.users[cases],
            history_items=self.history_items[rows],
            history_offsets=starts,
            target_items=self.target_items[targets],
            target_offsets=target_starts,
            history_times=None if self.history_times is None else self.history_times[rows],
            as_of=None if self.as_of is None else self.as_of[cases],
            along=self.along,
            passed=None if self.passed is None else self.passed[cases],
        )

    def in_time(self, cases: NDArray[np.int64]) -> NDArray[np.int64]:
        """These questions, ascending, in the order of their moments, where they have some: counts over the last days
        move on with them, and never back. Questions that follow one another in time are in it already."""
        if self.as_of is None or self.along is not None:
            return cases
        return cases[np.argsort(self.as_of[cases], kind="stable")]

    def history(self, case: int) -> UserHistory:
        """The events that the case's user had before the question, oldest first."""
        rows = slice(self.history_offsets[case], self.history_offsets[case + 1])
        return UserHistory(self.history_items[rows], None if self.history_times is None else self.history_times[rows])

    def targets(self, case: int) -> IntArray:
        """The items that came next: one, or several where the split holds out several."""
        return self.target_items[self.target_offsets[case] : self.target_offsets[case + 1]]

    def query(self, case: int, candidates: IntArray | None = None, *, exclude_history: bool = True) -> Query:
        """The question without its answer. The history is excluded unless `exclude_history` is off."""
        history = self.history(case)
        as_of = None if self.as_of is None else int(self.as_of[case])
        return Query(history, as_of, candidates, history.items if exclude_history else np.empty(0, np.int32))
