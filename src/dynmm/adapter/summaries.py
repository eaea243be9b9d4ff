"""What the stream has lately done, in numbers: decayed, causal, and advanced by every event.

Items decay by the stream's own clock, which goes on by one with every event, so that busy and quiet data are treated
alike and a wrong timestamp moves nothing. I items, S features, P projected latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.types import NO_TIME, FloatArray, IntArray, UserHistory

Arrays = dict[str, NDArray[np.generic]]

#: Half-lives of the counts, in units of the configured one.
SPANS = (0.1, 1.0, 10.0)
#: Columns before the projected latents.
PLAIN = len(SPANS) + 2
#: Below this mass an item has cooled: it stands where it stood.
COOL = 0.01
#: Powers of two that a mass may grow by before all are brought down together, which changes no bit of them.
_ROOM = 256
#: History items that a user's context is made of, and what each counts against the one after it.
_RECENT, _FADE = 20, 0.8
#: Newest events of a user that are counted, so that a flood costs no more.
_COUNTED = 1_000
_DAY_MS = 86_400_000


class ItemSummaries:
    """Decayed events of each item, its trend, its age, and what those who take it took before."""

    def __init__(self, n_items: int, dims: int, half_life: int) -> None:
        self._half_lives = [max(1.0, span * half_life) for span in SPANS]
        self.clock = 0
        self._masses = np.zeros((len(SPANS), n_items))
        self._epochs = [0] * len(SPANS)
        self._first = np.full(n_items, -1, np.int64)
        self._company = np.zeros((n_items, dims), np.float64)
        self._taught = np.zeros(n_items)

    @property
    def n_items(self) -> int:
        """I."""
        return self._masses.shape[1]

    def widen(self, n_items: int) -> None:
        """Room for items that came."""
        more = n_items - self.n_items
        if more > 0:
            self._masses = np.pad(self._masses, ((0, 0), (0, more)))
            self._first = np.pad(self._first, (0, more), constant_values=-1)
            self._company = np.pad(self._company, ((0, more), (0, 0)))
            self._taught = np.pad(self._taught, (0, more))

    def advance(self, items: IntArray) -> None:
        """Count events in their order; one by one or together gives the same bits."""
        done = 0
        while done < len(items):
            # What is brought down is brought down at the same event, however the events come.
            ends = [(epoch + 1) * _ROOM * life for epoch, life in zip(self._epochs, self._half_lives, strict=True)]
            room = max(1, int(min(np.ceil(end) for end in ends)) - self.clock)
            part = np.asarray(items[done : done + room], dtype=np.int64)
            times = np.arange(self.clock, self.clock + len(part))
            for place, life in enumerate(self._half_lives):
                grown = np.exp2((times - self._epochs[place] * _ROOM * life) / life)
                np.add.at(self._masses[place], part, grown)
            fresh = self._first[part] < 0
            for item, time in zip(part[fresh].tolist(), times[fresh].tolist(), strict=True):
                if self._first[item] < 0:
                    self._first[item] = time
            self.clock += len(part)
            done += len(part)
            for place, life in enumerate(self._half_lives):
                if self.clock >= (self._epochs[place] + 1) * _ROOM * life:
                    self._masses[place] *= 2.0**-_ROOM
                    self._epochs[place] += 1
                    if place == len(SPANS) - 1:
                        self._company *= 2.0**-_ROOM
                        self._taught *= 2.0**-_ROOM

    def meet(self, item: int, context: FloatArray) -> None:
        """Somebody with this context is about to take the item. context: (P,)."""
        life = self._half_lives[-1]
        weight = float(np.exp2((self.clock - self._epochs[-1] * _ROOM * life) / life))
        self._company[item] += weight * context
        self._taught[item] += weight

    def masses(self, items: IntArray, span: int = 1) -> FloatArray:
        """(N,) decayed events now. span: which half-life, see `SPANS`."""
        life = self._half_lives[span]
        now: FloatArray = self._masses[span][items] * np.exp2((self._epochs[span] * _ROOM * life - self.clock) / life)
        return now

    def activity(self, items: IntArray, active: float) -> NDArray[np.float32]:
        """(N,) m in [0, 1]: 0 for an item that has cooled, half at ``active`` decayed events."""
        mass = self.masses(items)
        return np.where(mass < COOL, 0.0, mass / (mass + active)).astype(np.float32)

    def hot(self) -> NDArray[np.int64]:
        """Items that have not cooled, ascending: at most as many as the stream had events in some seven half-lives."""
        life = self._half_lives[1]
        least = COOL * np.exp2((self.clock - self._epochs[1] * _ROOM * life) / life)
        return np.flatnonzero(self._masses[1] >= least)

    def read(self, items: IntArray) -> NDArray[np.float32]:
        """(N, S) features now."""
        counts = [self.masses(items, span) for span in range(len(SPANS))]
        rates = [count / life for count, life in zip(counts, self._half_lives, strict=True)]
        least = 1.0 / self._half_lives[-1]
        trend = np.log((rates[0] + least) / (rates[-1] + least))
        age = np.where(self._first[items] < 0, 0.0, self.clock - self._first[items])
        taught = self._taught[items]
        mean = self._company[items] / np.where(taught > 0, taught, 1.0)[:, None]
        plain = [*(np.log1p(count) / 3 for count in counts), trend / 3, np.log1p(age) / 10]
        return np.concatenate([np.stack(plain, axis=1), mean], axis=1).astype(np.float32)

    def arrays(self) -> Arrays:
        """Everything, by name."""
        return {
            "masses": self._masses,
            "epochs": np.asarray(self._epochs, np.int64),
            "first": self._first,
            "company": self._company,
            "taught": self._taught,
            "clock": np.asarray([self.clock], np.int64),
        }

    def restore(self, arrays: Arrays) -> None:
        """Go on from what `arrays` gave."""
        self._masses = np.array(arrays["masses"], dtype=np.float64)
        self._epochs = [int(one) for one in arrays["epochs"]]
        self._first = np.array(arrays["first"], dtype=np.int64)
        self._company = np.array(arrays["company"], dtype=np.float64)
        self._taught = np.array(arrays["taught"], dtype=np.float64)
        self.clock = int(arrays["clock"][0])


def context_of(history: UserHistory, latents: NDArray[np.float32]) -> FloatArray:
    """(P,) the mean of the newest items' projected latents, newer ones counting more; zeros without a history.

    latents: (I, P).
    """
    recent = np.asarray(history.items[-_RECENT:], dtype=np.int64)[::-1]
    if not len(recent):
        return np.zeros(latents.shape[1])
    weights = _FADE ** np.arange(len(recent))
    mean: FloatArray = weights @ latents[recent].astype(np.float64) / weights.sum()
    return mean


class UserSummaries:
    """The same numbers of users as `ItemSummaries` has of items, over their own events, decayed by the time since each.

    Nothing is kept: a history and the moment of a question say it all. Without a moment, it is that of the newest
    event. Without times nothing decays, and there is no trend and no age. B users.
    """

    def __init__(self, half_life_days: float, active: float, latents: NDArray[np.float32]) -> None:
        """active: decayed events with which a user moves by half. latents: (I, P)."""
        self._half_lives = np.asarray(SPANS) * half_life_days
        self._active, self._latents = active, latents

    def read(self, histories: Sequence[UserHistory], moments: Sequence[int | None]) -> NDArray[np.float32]:
        """(B, S) features at these moments, ms UTC; zeros without a history."""
        masses, trend = np.zeros((len(SPANS), len(histories))), np.zeros(len(histories))
        age, contexts = np.zeros(len(histories)), np.zeros((len(histories), self._latents.shape[1]))
        least = 1.0 / self._half_lives[-1]
        for row, (history, moment) in enumerate(zip(histories, moments, strict=True)):
            days = _days(history, moment)
            masses[:, row] = self._masses(history, days)
            contexts[row] = context_of(history, self._latents)
            if len(days):
                rates = masses[:, row] / self._half_lives
                trend[row] = np.log((rates[0] + least) / (rates[-1] + least))
                age[row] = days[0]
        plain = [*(np.log1p(masses) / 3), trend / 3, np.log1p(age) / 10]
        return np.concatenate([np.stack(plain, axis=1), contexts], axis=1).astype(np.float32)

    def activity(self, histories: Sequence[UserHistory], moments: Sequence[int | None]) -> NDArray[np.float32]:
        """(B,) m in [0, 1]: 0 without a history, half at ``active`` decayed events."""
        both = zip(histories, moments, strict=True)
        mass = np.asarray([self._masses(history, _days(history, moment))[1] for history, moment in both])
        return (mass / (mass + self._active)).astype(np.float32)

    def _masses(self, history: UserHistory, days: FloatArray) -> FloatArray:
        """(spans,) decayed events. days: see `_days`."""
        if not len(days):
            return np.full(len(SPANS), float(len(history)))
        found: FloatArray = np.exp2(-days[-_COUNTED:, None] / self._half_lives).sum(0)
        return found


def _days(history: UserHistory, moment: int | None) -> FloatArray:
    """(L,) since each event whose time is known, 0 for what is ahead of the moment."""
    if history.timestamps is None:
        return np.zeros(0)
    times: FloatArray = history.timestamps[history.timestamps != NO_TIME].astype(np.float64)
    if not len(times):
        return times
    now = times[-1] if moment is None else moment
    days: FloatArray = np.maximum(0.0, now - times) / _DAY_MS
    return days


def principal(vectors: Tensor, dims: int) -> Tensor:
    """(D, P) the directions in which the items differ most, each with its largest part positive."""
    centred = vectors.double() - vectors.double().mean(0)
    _, directions = torch.linalg.eigh(centred.t() @ centred)
    found = directions.flip(1)[:, : min(dims, vectors.shape[1])]
    largest = found.abs().argmax(0)
    signs = found[largest, torch.arange(found.shape[1])].sign()
    turned: Tensor = (found * signs).float()
    return turned
