"""A signal that exists only in the future is planted; an honest run cannot see it, and a leaky one is caught.

Two cheaters look for it. The magpie counts every item that reaches it by any way at all. The prophet puts
first whatever it knows to have happened at or after the moment of the question. Each scores nothing in an
honest run, and everything as soon as one test event gets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluation.fakes import Row, dataset, events

from dynmm.evaluation.prequential import replay
from dynmm.evaluation.protocols import exams, run
from dynmm.evaluation.replay import Mode, Stream
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split, SplitConfig, make_split
from dynmm.system import Query, Rankings, System
from dynmm.topk import rank_in_blocks
from dynmm.types import Events

N_USERS, N_ITEMS, PER_USER, OMENS = 30, 60, 12, 3


class Magpie:
    """Counts items in whatever it is given: training, validation, histories, learned events. Bets on omens."""

    name = "magpie"

    def __init__(self) -> None:
        self.counts = np.zeros(0)

    def fit(self, dataset: Dataset) -> None:
        self.counts = dataset.item_counts().astype(np.float64)
        if dataset.validation is not None:
            self._add(dataset.validation.history_items)
            self._add(dataset.validation.target_items)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        for query in queries:
            self._add(query.history.items)
        # The omens have the highest numbers: one that ever got here comes first, one that did not comes last.
        scores = torch.tensor(np.where(self.counts > 0, np.arange(len(self.counts)), 0.0), dtype=torch.float32)
        return rank_in_blocks(lambda block: scores.repeat(len(block), 1), queries, k, len(self.counts))

    def learn(self, events: Events) -> None:
        self._add(events.items)

    def _add(self, items: np.ndarray) -> None:
        self.counts += np.bincount(items, minlength=len(self.counts))


class Prophet:
    """Ranks items by how often it knows them to happen at or after the question; all others tie at zero."""

    name = "prophet"

    def __init__(self) -> None:
        self.known: list[tuple[int, int]] = []
        self.n_items = 0

    def fit(self, dataset: Dataset) -> None:
        self.n_items = dataset.n_items
        self.known = []
        self.learn(dataset.events)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        def score(block: Sequence[Query]) -> torch.Tensor:
            rows = torch.zeros(len(block), self.n_items)
            times, items = (np.array(column) for column in zip(*self.known, strict=True))
            for row, query in enumerate(block):
                assert query.as_of is not None
                future = np.bincount(items[times >= query.as_of], minlength=self.n_items)
                rows[row] = torch.tensor(future)
            return rows

        return rank_in_blocks(score, queries, k, self.n_items)

    def learn(self, events: Events) -> None:
        assert events.timestamps is not None
        self.known += zip(events.timestamps.tolist(), events.items.tolist(), strict=True)


def with_omens(share_by_time: float) -> Dataset:
    """Everybody's last events are on a few items that nobody had before.

    share_by_time: share of each user's events that are omens; they all lie after everything else.
    """
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    n_omens = max(1, round(share_by_time * PER_USER))
    for user in range(N_USERS):
        usual = rng.permutation(N_ITEMS - OMENS)[: PER_USER - n_omens]
        omens = N_ITEMS - OMENS + rng.permutation(OMENS)[:n_omens]
        times = np.concatenate([np.arange(len(usual)), 1_000 + np.arange(n_omens)]) * 1_000 + user
        rows += [(user, int(item), int(time)) for item, time in zip([*usual, *omens], times, strict=True)]
    return dataset(rows, n_users=N_USERS, n_items=N_ITEMS)


def hits(split: Split, system: System, protocol: str) -> float:
    """What the shipped harness makes of a fitted system."""
    (exam, *_) = exams(split, protocol)
    return float(run(exam, {"cheater": [system]}).systems[0].values["hit@10"].mean())


SPLITS = [
    ("full", SplitConfig(name="full", k_core=0)),
    ("holdout", SplitConfig(name="holdout", by="user")),
    # The share of omens, so that the test part is made of them alone.
    ("holdout", SplitConfig(name="holdout", by="time", test_share=0.0833)),
]


def split_with_omens(config: SplitConfig) -> Split:
    return make_split(with_omens(1 / PER_USER), config, seed=0)


@pytest.mark.parametrize(("protocol", "config"), SPLITS)
def test_an_honest_run_cannot_see_the_omen(protocol: str, config: SplitConfig) -> None:
    split = split_with_omens(config)
    magpie = Magpie()
    magpie.fit(split.train)
    assert hits(split, magpie, protocol) == 0.0
    assert magpie.counts[N_ITEMS - OMENS :].tolist() == [0.0] * OMENS


@pytest.mark.parametrize(("protocol", "config"), SPLITS)
def test_fitting_on_the_test_part_is_caught(protocol: str, config: SplitConfig) -> None:
    split = split_with_omens(config)
    magpie = Magpie()
    magpie.fit(split.source)
    assert hits(split, magpie, protocol) > 0.9


@pytest.mark.parametrize(("protocol", "config"), SPLITS)
def test_selecting_on_the_test_part_is_caught(protocol: str, config: SplitConfig) -> None:
    split = split_with_omens(config)
    magpie = Magpie()
    magpie.fit(replace(split.train, validation=split.test))
    assert hits(split, magpie, protocol) > 0.9


@pytest.mark.parametrize(("protocol", "config"), SPLITS)
def test_targets_in_histories_are_caught(protocol: str, config: SplitConfig) -> None:
    """A history that runs one event too far betrays the omens of other users. One's own is excluded then,
    so a second, honest look is what profits."""
    split = split_with_omens(config)
    assert split.test is not None
    magpie = Magpie()
    magpie.fit(split.train)
    leaky = replace(split, test=one_event_too_far(split.test))
    hits(leaky, magpie, protocol)
    assert magpie.counts[N_ITEMS - OMENS :].sum() > 0
    assert hits(split, magpie, protocol) > 0.9


def one_event_too_far(cases: Cases) -> Cases:
    parts = [np.append(cases.history(case).items, cases.targets(case)[:1]) for case in range(len(cases))]
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return replace(cases, history_items=np.concatenate(parts), history_offsets=offsets, history_times=None)


def test_a_cut_in_time_leaves_nothing_later_in_training() -> None:
    split = make_split(with_omens(0.25), SplitConfig(name="holdout", by="time"), seed=0)
    honest, leaky = Prophet(), Prophet()
    honest.fit(split.train)
    assert hits(split, honest, "holdout") == 0.0
    leaky.fit(split.source)
    assert hits(split, leaky, "holdout") > 0.9


def flashes(mode: Mode) -> Stream:
    """Three users take the same item at every moment, a random one of those in training.

    Who knows one event of a moment knows the others; before it, nothing tells which item comes.
    """
    rng = np.random.default_rng(5)
    base = [(user, (user * 7 + step) % 50, step) for user in range(60) for step in range(10)]
    rows = []
    for moment in range(120):
        for user in rng.permutation(60)[:3]:
            rows.append((int(user), int(moment * 17 % 50), 10_000 * (moment + 3)))
    return Stream.of(dataset(base), events(rows), mode=mode, window=30_000)


def stream_hits(system: System, over: Stream) -> float:
    return float(replay(system, over).values["hit@10"][over.apart()["possible"]].mean())


@pytest.mark.parametrize("mode", ["event", "window"])
def test_an_honest_stream_shows_nothing_of_the_moment_or_after(mode: Mode) -> None:
    over, prophet = flashes(mode), Prophet()
    prophet.fit(over.base)
    assert stream_hits(prophet, over) == 0.0
    assert len(prophet.known) == len(over.base.events) + len(over.events)


@pytest.mark.parametrize("mode", ["event", "window"])
def test_fitting_on_the_stream_is_caught(mode: Mode) -> None:
    over, prophet = flashes(mode), Prophet()
    prophet.fit(over.base)
    prophet.learn(over.events)
    assert stream_hits(prophet, over) > 0.15


def test_learning_before_scoring_is_caught() -> None:
    over, prophet = flashes("event"), Prophet()
    prophet.fit(over.base)
    assert stream_hits(_LearnsFirst(prophet, over), over) == 1.0


def test_learning_within_a_tie_is_caught() -> None:
    """A loop that takes equal timestamps one by one: two of each three events are given away."""
    over, prophet = flashes("event"), Prophet()
    prophet.fit(over.base)
    leaky = replace(over, bounds=np.arange(len(over.events) + 1))
    caught = replay(prophet, leaky).values["hit@10"][over.apart()["possible"]].mean()
    assert 0.5 < caught < 0.9


def test_advancing_within_a_window_is_caught() -> None:
    """`window` mode whose record moves with every event: histories then hold events of the same window."""
    over = flashes("window")
    assert _freshest(over) < 0
    assert _freshest(replace(over, bounds=flashes("event").bounds)) >= 0


def _freshest(over: Stream) -> int:
    """How far the newest event in any history lies behind the start of the question's window, in ms."""

    class Clock(Magpie):
        newest = -(2**62)

        def rank(self, queries: Sequence[Query], k: int) -> Rankings:
            for query in queries:
                assert query.as_of is not None
                assert query.history.timestamps is not None
                if k > 10 and len(query.history):
                    window = query.as_of // 30_000 * 30_000
                    self.newest = max(self.newest, int(query.history.timestamps[-1]) - window)
            return super().rank(queries, k)

    clock = Clock()
    clock.fit(over.base)
    replay(clock, over)
    return clock.newest


class _LearnsFirst:
    """A broken loop around an honest one: the events of a question are learned before it is asked."""

    name = "learns-first"

    def __init__(self, inner: System, over: Stream) -> None:
        self._inner, self._over = inner, over
        self._next = 0

    def fit(self, dataset: Dataset) -> None:
        self._inner.fit(dataset)

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        if k > 10:
            self._inner.learn(self._over.events.take(slice(self._next, self._next + len(queries))))
            self._next += len(queries)
        return self._inner.rank(queries, k)

    def learn(self, events: Events) -> None: ...
