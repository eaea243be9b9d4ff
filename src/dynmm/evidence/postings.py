"""Every event by its item: who took it, as which of their events, and when. The raw data, without any sum.

An event's key is user * 2^32 + its place in that user's sequence, so that nearness is a difference of keys.
"""

from __future__ import annotations

import hashlib
from array import array
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import DataError, UnsupportedByData
from dynmm.evidence.ascending import among, distinct
from dynmm.evidence.growing import Growing
from dynmm.evidence.ragged import offsets_of
from dynmm.types import NO_TIME, Events, IntArray


class Postings:
    """Fitted events user by user, and learned ones in the order of the log. I items, U users at the fit."""

    def __init__(self, offsets: NDArray[np.int64], items: NDArray[np.int32], times: NDArray[np.int64] | None) -> None:
        """offsets: (U + 1,), user u has the events offsets[u]..offsets[u+1]-1. times: (N,) ms; none: there is no time.

        Items and users that are new may be learned later.
        """
        self._offsets, self._items, self.times = offsets, items, times
        self._order = np.argsort(items, kind="stable").astype(np.int32)
        self._item_offsets = offsets_of(np.bincount(items))
        self._users = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
        self._keys, self._moments, self._of = Growing(), Growing(), Growing()
        self._learned: dict[int, array[int]] = {}
        self._lengths: dict[int, int] = {}

    @property
    def n_fitted(self) -> int:
        """Events of the fit, which have the first offsets of the log."""
        return len(self._items)

    def __len__(self) -> int:
        """Events in all: the offset of the log."""
        return len(self._items) + len(self._keys)

    @property
    def nbytes(self) -> int:
        """Bytes, with some 120 for each learned item and user."""
        parts: tuple[NDArray[Any], ...] = (
            self._offsets,
            self._items,
            self._order,
            self._item_offsets,
            self._users,
        )
        fitted = sum(part.nbytes for part in parts) + (0 if self.times is None else self.times.nbytes)
        learned = self._keys.nbytes + self._moments.nbytes + self._of.nbytes
        return fitted + learned + 8 * len(self._keys) + 120 * (len(self._learned) + len(self._lengths))

    def append(self, events: Events) -> None:
        """Learn events in their order. Raises DataError for negative ids, or where times are missing."""
        if len(events) and min(int(events.users.min()), int(events.items.min())) < 0:
            raise DataError("the ledger was given an event with a negative user or item; give dense ids from 0")
        times = events.timestamps
        if self.times is not None and (times is None or (times == NO_TIME).any()):
            raise DataError("the ledger's data has timestamps, so every learned event needs one")
        moments = np.zeros(len(events), dtype=np.int64) if self.times is None or times is None else times
        keys = []
        for row, (user, item) in enumerate(
            zip(events.users.tolist(), events.items.tolist(), strict=True), len(self._keys)
        ):
            place = self._lengths.get(user)
            if place is None:
                place = self._fitted_length(user)
            self._lengths[user] = place + 1
            self._learned.setdefault(item, array("q")).append(row)
            keys.append((user << 32) | place)
        # The keys say how many there are: whoever reads meanwhile finds the rest of each.
        self._moments.extend(moments)
        self._of.extend(events.items)
        self._keys.extend(np.array(keys, dtype=np.int64))

    def keys(self, item: int, as_of: int | None = None) -> NDArray[np.int64]:
        """(n,) ascending keys of the events of an item before an offset. Raises DataError, see `learned_before`."""
        rows, learned = self._fitted_rows(item), self._learned_rows(item, as_of)
        fitted = (self._users[rows].astype(np.int64) << 32) + rows - self._offsets[self._users[rows]]
        if not len(learned):
            return fitted
        return np.sort(np.concatenate([fitted, self._keys.values[learned]]))

    def users_between(self, item: int, since: int, until: int, as_of: int | None = None) -> NDArray[np.int64]:
        """Users of the events of an item with since < time <= until, ms; a user may stand several times."""
        times = self._times()
        rows, learned = self._fitted_rows(item), self._learned_rows(item, as_of)
        moments = self._moments.values[learned]
        fitted = self._users[rows[(times[rows] > since) & (times[rows] <= until)]].astype(np.int64)
        return np.concatenate([fitted, self._keys.values[learned[(moments > since) & (moments <= until)]] >> 32])

    def pairs_between(self, since: int, until: int, as_of: int | None = None) -> NDArray[np.int64]:
        """Distinct item * 2^32 + user, ascending, of all events with since < time <= until, ms."""
        times, n_learned = self._times(), self.learned_before(as_of)
        rows = np.flatnonzero((times > since) & (times <= until))
        moments = self._moments.values[:n_learned]
        learned = np.flatnonzero((moments > since) & (moments <= until))
        items = np.concatenate([self._items[rows].astype(np.int64), self._of.values[learned]])
        users = np.concatenate([self._users[rows].astype(np.int64), self._keys.values[learned] >> 32])
        return distinct((items << 32) | users)

    def learned_before(self, as_of: int | None) -> int:
        """Learned events before an offset; all of them by default. Raises DataError where the log has no such offset,
        or where it lies within the fit, whose events count together."""
        if as_of is None:
            return len(self._keys)
        if not self.n_fitted <= as_of <= len(self):
            raise DataError(
                f"offset {as_of:,} cannot be looked up: the log of this run can be read from offset "
                f"{self.n_fitted:,}, where its fit ends, to {len(self):,}"
            )
        return as_of - self.n_fitted

    def newest(self, as_of: int | None = None) -> int | None:
        """The time of the newest event before an offset, ms; None without times or events. Raises DataError."""
        moments = self._moments.values[: self.learned_before(as_of)]
        found = [one for one in (self._newest_fitted, int(moments.max()) if len(moments) else None) if one is not None]
        return max(found) if found and self.times is not None else None

    @cached_property
    def _newest_fitted(self) -> int | None:
        return int(self.times.max()) if self.times is not None and len(self.times) else None

    @cached_property
    def secret(self) -> bytes:
        """What only who has the events knows."""
        digest = hashlib.sha256(b"releases")
        for column in (self._offsets, self._items):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.digest()

    def offset_of_taker(self, item: int, every: int, phase: int, as_of: int | None = None) -> int:
        """The offset behind the last person to take an item whose number, less `phase`, is a multiple of `every`; the
        end of the fit where they took it within it. Who takes it again has no further number."""
        fitted, learned = distinct(self._users[self._fitted_rows(item)]), self._learned_rows(item, as_of)
        users, first = np.unique(self._keys.values[learned] >> 32, return_index=True)
        fresh = learned[np.sort(first[~among(users, fitted)])]
        number = phase + (len(fitted) + len(fresh) - phase) // every * every
        return self.n_fitted if number <= len(fitted) else self.n_fitted + int(fresh[number - len(fitted) - 1]) + 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be saved: see `restored`."""
        found: dict[str, NDArray[Any]] = {"offsets": self._offsets, "items": self._items}
        found |= {"learned.users": self._keys.values >> 32, "learned.items": self._of.values}
        found |= {} if self.times is None else {"times": self.times, "learned.times": self._moments.values}
        return found

    @classmethod
    def restored(cls, arrays: dict[str, NDArray[Any]]) -> Postings:
        """From what `arrays` gave. Raises KeyError or ValueError where they do not fit together."""
        offsets, items, times = arrays["offsets"], arrays["items"], arrays.get("times")
        if not len(offsets) or offsets[-1] != len(items) or (times is not None and len(times) != len(items)):
            raise ValueError("the events of the fit do not fit together")
        found = cls(offsets, items, times)
        learned = Events(arrays["learned.users"], arrays["learned.items"], arrays.get("learned.times"))
        if len(learned.users) != len(learned.items):
            raise ValueError("the learned events do not fit together")
        found.append(learned)
        return found

    def _times(self) -> NDArray[np.int64]:
        if self.times is None:
            raise UnsupportedByData("there is no trend: the data has no timestamps")
        return self.times

    def _fitted_length(self, user: int) -> int:
        return int(self._offsets[user + 1] - self._offsets[user]) if user < len(self._offsets) - 1 else 0

    def _fitted_rows(self, item: int) -> NDArray[np.int32]:
        if not 0 <= item < len(self._item_offsets) - 1:
            return np.empty(0, dtype=np.int32)
        return self._order[self._item_offsets[item] : self._item_offsets[item + 1]]

    def _learned_rows(self, item: int, as_of: int | None) -> NDArray[np.int64]:
        before, learned = self.learned_before(as_of), self._learned.get(item)
        # A copy in one step: an array that numpy looks into cannot grow, and others may be learning.
        rows = np.empty(0, np.int64) if learned is None else np.frombuffer(learned.tobytes(), np.int64)
        return rows[: np.searchsorted(rows, before)]


def merged_keys(postings: Postings, items: IntArray, as_of: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys of several items, one after the other, each ascending; and how many each has, (n,)."""
    keys = [postings.keys(item, as_of) for item in items.tolist()]
    lengths = np.array([len(one) for one in keys], dtype=np.int64)
    return np.concatenate(keys) if keys else np.empty(0, dtype=np.int64), lengths
