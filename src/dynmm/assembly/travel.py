"""From one offset of the log to another: what moved in a user's list, and which events did that.

A score has three movers: the user's own history, what is counted of everybody (with the moment of the question), and
the adapter. They are put forward one after the other, in this order, so that their shares sum to the whole difference.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dynmm.assembly.attributing import Stretch
from dynmm.assembly.explaining import Explainer, explainer_of
from dynmm.assembly.live import live_of
from dynmm.assembly.whole import Whole, whole_of
from dynmm.assembly.without import Without
from dynmm.errors import DataError, UnsupportedByData
from dynmm.factids import FactId
from dynmm.recommender import Recommender
from dynmm.system import Query
from dynmm.types import Evidence, FloatArray, UserHistory

#: Own events that are each left out once; of longer stretches the newest are.
_OWN = 20
#: Changed facts, and events behind one, that are named.
_FACTS, _EVENTS = 5, 10


@dataclass(frozen=True)
class ChangedFact:
    """A fact that counted otherwise at the end. before, after: what it added to the score, 0 where it was not there.

    stored: what is stored of it at the end. events: offsets of the newest events in between that stand behind it,
    newest first: of people who had both items of a pair, as the fact tells of them. Empty for a fact about items.
    """

    id: str
    before: float
    after: float
    stored: Mapping[str, Any]
    events: tuple[int, ...]


@dataclass(frozen=True)
class Moved:
    """One item. ranks: 1 is best, 0 where it was no candidate. history, evidence, adapter: shares of the difference.

    own: by offset, what the item's score at the end would lose without that event of the user.
    """

    item: str
    title: str | None
    rank_before: int
    rank_after: int
    before: float
    after: float
    history: float
    evidence: float
    adapter: float
    own: Mapping[int, float]
    facts: tuple[ChangedFact, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        facts = [{**vars(fact), "stored": dict(fact.stored), "events": list(fact.events)} for fact in self.facts]
        return {**vars(self), "own": {str(offset): one for offset, one in self.own.items()}, "facts": facts}


@dataclass(frozen=True)
class Moves:
    """A user's list from offset ``start`` to ``end``. events: offset and item of the user's own events in between.

    versions: the adapter's at both ends, None without one. arrived: items that came in between. items: of both lists,
    those whose rank changed most first.
    """

    user: str
    start: int
    end: int
    events: tuple[tuple[int, str], ...]
    versions: tuple[int, int] | None
    arrived: tuple[str, ...]
    items: tuple[Moved, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        told = {**vars(self), "events": [list(one) for one in self.events], "arrived": list(self.arrived)}
        told["versions"] = None if self.versions is None else list(self.versions)
        told["items"] = [one.as_json() for one in self.items]
        return told


def moves_between(recommender: Recommender, user: str, start: int, end: int, k: int) -> Moves:
    """See `Recommender.moves`."""
    if start > end:
        raise DataError(f"from {start:,} to {end:,} runs backwards; name the earlier offset first")
    if recommender.split is None:
        raise UnsupportedByData("a published model has no log to travel in; ask the run that it came from")
    live, device = live_of(recommender), whole_of(recommender).backbone.device.type
    if live.home is not None:
        return _moves(live.home.parent, device, user, start, end, k)
    with tempfile.TemporaryDirectory(prefix="dynmm-moves-") as folder:
        recommender.save_pretrained(Path(folder) / "run")
        return _moves(Path(folder) / "run", device, user, start, end, k)


def _moves(run: Path, device: str, user: str, start: int, end: int, k: int) -> Moves:
    before, after = (Recommender.from_pretrained(run, device=device, as_of=offset) for offset in (start, end))
    comparison = _Comparison(before, after, user)
    items = comparison.items(k)
    moving = whole_of(before).moving, whole_of(after).moving
    versions = None if moving[0] is None or moving[1] is None else (moving[0].version, moving[1].version)
    arrived = tuple(after.items.ids[len(before.items) :])
    return Moves(user, start, end, tuple(comparison.own), versions, arrived, items)


#: Who is asked what, for each step from the start to the end.
_Asked = Sequence[tuple[Explainer, Query]]


class _Comparison:
    """One user's scores at two offsets, and with the movers put forward one by one."""

    def __init__(self, before: Recommender, after: Recommender, user: str) -> None:
        self._after, self._user = after, user
        self._first, self._last = explainer_of(before, "operator"), explainer_of(after, "operator")
        self._end = after.query_of(user)
        # Who came in between had nothing at the start.
        self._start = before.query_of(user) if user in before.users else _of_nobody(before)
        self._n_known = len(before.items)
        self._between = whole_of(after).learned_events().take(slice(before.counted, None))
        self._dense = after.users.encode(user, what="user")
        self._stretch = Stretch(self._last.store, self._between, before.offset, self._dense)
        #: (offset, item) of the user's events in between.
        self.own = self._own_events()

    def items(self, k: int) -> tuple[Moved, ...]:
        """Of both lists, those whose rank changed most first."""
        asked = self._asked()
        steps = [explainer.scores(query, Without())[0].numpy() for explainer, query in asked]
        shown = sorted({*_top(steps[0], k), *_top(steps[-1], k)})
        found = [self._moved(item, asked, steps) for item in shown]
        return tuple(sorted(found, key=lambda one: (-abs(one.rank_after - one.rank_before), one.rank_after, one.item)))

    def _asked(self) -> _Asked:
        """Who is asked what at the start, with the history of the end, with its counts, and with its adapter."""
        # At the start nobody had told of items that came later.
        known = self._end.history.items < self._n_known
        times = self._end.history.timestamps
        own = UserHistory(self._end.history.items[known], None if times is None else times[known])
        hidden = self._end.exclude[self._end.exclude < self._n_known]
        moved = replace(self._start, history=own, exclude=hidden)
        counted = replace(self._last, whole=_with_adapter_of(self._last.whole, self._first.whole))
        return [(self._first, self._start), (self._first, moved), (counted, self._end), (self._last, self._end)]

    def _moved(self, item: int, asked: _Asked, steps: Sequence[FloatArray]) -> Moved:
        # What is no candidate, for it is new or in the history, is compared by what it would score.
        values = [self._score(step, *each, item) for step, each in zip(steps, asked, strict=True)]
        outside = self._after.items.decode(item)
        return Moved(
            item=outside,
            title=self._after.title(outside),
            rank_before=_rank(steps[0], item),
            rank_after=_rank(steps[-1], item),
            before=values[0],
            after=values[-1],
            history=values[1] - values[0],
            evidence=values[2] - values[1],
            adapter=values[3] - values[2],
            own=self._left_out(item, values[-1]),
            facts=self._changed(item),
        )

    def _score(self, step: FloatArray, explainer: Explainer, query: Query, item: int) -> float:
        if item >= len(step):
            return 0.0  # nobody had told of it yet
        if np.isfinite(step[item]):
            return float(step[item])
        return explainer.explain(query, item, self._user).score

    def _left_out(self, item: int, score: float) -> dict[int, float]:
        found, first = {}, len(self._end.history.items) - len(self.own)
        for number, (offset, taken) in list(enumerate(self.own))[-_OWN:]:
            if self._after.items.encode(taken) != item:
                rest = self._last.explain(_less_event(self._end, first + number), item, self._user)
                found[offset] = score - rest.score
        return found

    def _changed(self, item: int) -> tuple[ChangedFact, ...]:
        before = self._told(self._first, self._start, item) if item < self._n_known else {}
        after = self._told(self._last, self._end, item)
        changed = []
        for name in {*before, *after}:
            amounts = [one[name].contribution if name in one else 0.0 for one in (before, after)]
            fact = after.get(name) or before[name]
            if amounts[0] != amounts[1]:
                events = self._stretch.behind(FactId.parse(name), _EVENTS)
                changed.append(ChangedFact(name, amounts[0], amounts[1], dict(fact.facts), events))
        changed.sort(key=lambda one: (-abs(one.after - one.before), one.id))
        return tuple(changed[:_FACTS])

    def _told(self, explainer: Explainer, query: Query, item: int) -> dict[str, Evidence]:
        return {one.id: one for one in explainer.explain(query, item, self._user).evidence}

    def _own_events(self) -> list[tuple[int, str]]:
        rows = np.flatnonzero(self._between.users == self._dense).tolist()
        return [(self._offset(row), self._after.items.decode(int(self._between.items[row]))) for row in rows]

    def _offset(self, row: int) -> int:
        return self._first.store.offset + row


def _of_nobody(recommender: Recommender) -> Query:
    times = np.empty(0, np.int64) if recommender.known.has_time else None
    nothing = np.empty(0, np.int32)
    return Query(UserHistory(nothing, times), recommender.now, exclude=nothing)


def _less_event(query: Query, place: int) -> Query:
    """The query without one event of its history. Of an item that was taken twice the other event stays."""
    items, times = query.history.items, query.history.timestamps
    history = UserHistory(np.delete(items, place), None if times is None else np.delete(times, place))
    return replace(query, history=history)


def _with_adapter_of(whole: Whole, other: Whole) -> Whole:
    twin = copy.copy(whole)
    twin.moving = other.moving and other.moving.with_items(whole.frozen_space)
    return twin


def _top(scores: FloatArray, k: int) -> list[int]:
    places = np.flatnonzero(np.isfinite(scores))
    order = np.lexsort((places, -scores[places]))[:k]
    return [int(one) for one in places[order]]


def _rank(scores: FloatArray, item: int) -> int:
    if item >= len(scores) or not np.isfinite(scores[item]):
        return 0
    ahead = (scores > scores[item]) | ((scores == scores[item]) & (np.arange(len(scores)) < item))
    return int(ahead.sum()) + 1
