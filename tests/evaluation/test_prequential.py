"""The stream loop against a naive one that can be checked by eye, and what it promises about moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.evaluation.fakes import Counting, CountingHistory, cases, dataset, events, random_rows

from dynmm.errors import EmptyDataError, UnsupportedByData
from dynmm.evaluation.metrics import Targets, per_case
from dynmm.evaluation.prequential import replay
from dynmm.evaluation.replay import Mode, Stream
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, Rankings
from dynmm.types import Events, UserHistory

ROWS = random_rows(400, n_users=25, n_items=40, seed=1)


def stream(mode: Mode = "event", window: int = 20_000) -> Stream:
    # Some items and users are first met in the stream.
    base = dataset([row for row in ROWS[:200] if row[1] < 33 and row[0] < 22], n_users=25, n_items=40)
    return Stream.of(base, events(ROWS[200:]), mode=mode, window=window)


class Spied(Counting):
    """Counting that keeps what it was given, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, list[int], Query | None]] = []

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        if k > 10:  # not the probe of the time to effect
            self.heard += [("asked", [], query) for query in queries]
        return super().rank(queries, k)

    def learn(self, events: Events) -> None:
        self.heard.append(("learned", events.items.tolist(), None))
        super().learn(events)


def naive_hits(system: Counting, over: Stream) -> list[float]:
    """The loop in its plainest form: one step at a time, everything rebuilt from lists."""
    past = [(int(u), int(i)) for u, i in zip(over.base.events.users, over.base.events.items, strict=True)]
    hits: list[float] = []
    for first, end in zip(over.bounds[:-1], over.bounds[1:], strict=True):
        group = over.events.take(slice(first, end))
        known = np.array(sorted({item for _, item in past}), np.int32)
        queries = []
        for user in group.users:
            own = np.array([item for who, item in past if who == user], np.int32)
            queries.append(Query(UserHistory(own), candidates=known, exclude=own))
        ranked = system.rank(queries, 100)
        targets = Targets.of(group.items, np.arange(len(group) + 1))
        hits += per_case(ranked, targets)["hit@10"].tolist()
        system.learn(group)
        past += [(int(u), int(i)) for u, i in zip(group.users, group.items, strict=True)]
    return hits


@pytest.mark.parametrize("mode", ["event", "window"])
@pytest.mark.parametrize("kind", [Counting, CountingHistory])
def test_the_loop_agrees_with_the_naive_one(mode: Mode, kind: type[Counting]) -> None:
    over = stream(mode)
    ours, theirs = kind(), kind()
    ours.fit(over.base)
    theirs.fit(over.base)
    hits = replay(ours, over).values["hit@10"]
    assert hits.tolist() == naive_hits(theirs, over)
    assert 0 < hits.sum() < len(hits)


@pytest.mark.parametrize("mode", ["event", "window"])
def test_batches_do_not_change_a_static_system(mode: Mode) -> None:
    over, results = stream(mode), []
    for chunk in (1, 7, 10_000):
        system = CountingHistory()
        system.fit(over.base)
        results.append(replay(system, over, chunk=chunk).values)
    for metric, values in results[0].items():
        assert values.tolist() == results[1][metric].tolist() == results[2][metric].tolist(), metric


@pytest.mark.parametrize("mode", ["event", "window"])
def test_every_step_is_asked_before_it_is_learned(mode: Mode) -> None:
    over, system = stream(mode), Spied()
    system.fit(over.base)
    replay(system, over)
    sizes = np.diff(over.bounds)
    expected = [kind for size in sizes for kind in ["asked"] * size + ["learned"]]
    assert [kind for kind, _, _ in system.heard] == expected
    learned = [item for kind, items, _ in system.heard if kind == "learned" for item in items]
    assert learned == over.events.items.tolist()


@pytest.mark.parametrize("mode", ["event", "window"])
def test_queries_hold_exactly_the_past(mode: Mode) -> None:
    over, system = stream(mode), Spied()
    system.fit(over.base)
    replay(system, over)
    queries = [query for _, _, query in system.heard if query is not None]
    starts = over.bounds[over.steps()]
    for row, query in enumerate(queries):
        user, past = over.events.users[row], over.events.take(slice(0, starts[row]))
        own = past.items[past.users == user].tolist()
        assert query.history.items.tolist() == over.base.history(user).items.tolist() + own
        assert query.as_of == over.times[row]
        assert query.history.timestamps is not None
        assert (query.history.timestamps < over.times[row]).all()
        known = set(over.base.events.items.tolist()) | set(past.items.tolist())
        assert query.candidates is None or set(query.candidates.tolist()) == known


def test_a_quiet_system_is_asked_in_larger_batches_with_the_same_outcome() -> None:
    over = stream()

    class Weekly(Counting):
        """Takes in what it learned only when a moment has passed."""

        patient = False

        def __init__(self) -> None:
            super().__init__()
            self.kept: list[Events] = []
            self.calls = 0
            self.due = int(over.times[0]) + 15_000

        @property
        def quiet_until(self) -> int | None:
            return self.due if self.patient else None

        def rank(self, queries: Sequence[Query], k: int) -> Rankings:
            self.calls += 1
            return super().rank(queries, k)

        def learn(self, events: Events) -> None:
            self.kept.append(events)
            assert events.timestamps is not None
            if events.timestamps[-1] >= self.due:
                for one in self.kept:
                    super().learn(one)
                self.kept, self.due = [], int(events.timestamps[-1]) + 15_000

    class Patient(Weekly):
        patient = True

    hasty, patient = Weekly(), Patient()
    hasty.fit(over.base)
    patient.fit(over.base)
    assert replay(patient, over).values["mrr"].tolist() == replay(hasty, over).values["mrr"].tolist()
    assert patient.calls < hasty.calls / 3


def test_groups_apart_by_hand() -> None:
    base = dataset([(0, 0, 1), (0, 1, 2), (1, 1, 3)], n_users=3, n_items=5)
    over = Stream.of(base, events([(0, 2, 10), (1, 2, 10), (2, 2, 11), (2, 0, 12), (0, 1, 13)]))
    apart = {name: rows.tolist() for name, rows in over.apart().items()}
    assert apart["first_event"] == [False, False, True, False, False]
    assert apart["target_unseen"] == [True, True, False, False, False]
    assert apart["target_in_history"] == [False, False, False, False, True]
    assert apart["possible"] == [False, False, True, True, False]


def test_an_unseen_target_is_a_miss_even_for_a_scorer_that_loves_it() -> None:
    class Lover(Counting):
        def fit(self, dataset: Dataset) -> None:
            super().fit(dataset)
            self.counts[4] = 1_000

    base = dataset([(0, 0, 1), (0, 1, 2), (1, 1, 3)], n_users=3, n_items=5)
    over = Stream.of(base, events([(0, 4, 10), (1, 4, 11)]))
    system = Lover()
    system.fit(base)
    assert replay(system, over).values["hit@10"].tolist() == [0.0, 1.0]


def test_history_is_kept_in_where_training_repeats() -> None:
    rows = [(0, 0, 1), (0, 0, 2), (0, 1, 3), (1, 0, 4), (1, 1, 5)]
    base = dataset(rows)
    assert base.repeat_share() == pytest.approx(1 / 5)
    over = Stream.of(base, events([(0, 0, 10)]))
    system = Counting()
    system.fit(base)
    assert not over.exclude_history
    assert replay(system, over).values["hit@5"].tolist() == [1.0]


def test_events_are_brought_into_time_order() -> None:
    base = dataset(ROWS[:200])
    shuffled = np.random.default_rng(0).permutation(200)
    over = Stream.of(base, events([ROWS[200:][place] for place in shuffled]))
    assert (np.diff(over.times) >= 0).all()


def test_what_a_stream_needs_is_said() -> None:
    base = dataset(ROWS[:200])
    none = Events(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))
    with pytest.raises(EmptyDataError, match="no event"):
        Stream.of(base, none)
    with pytest.raises(UnsupportedByData, match="timestamp"):
        Stream.of(base, Events(none.users, none.items))


def test_retention_asks_the_old_cases_before_and_after() -> None:
    over = stream()
    system, static = Counting(), CountingHistory()
    system.fit(over.base)
    static.fit(over.base)
    old = cases([[0, 1], [2, 3]], [[int(np.argmin(system.counts[:33]))], [int(np.argmax(system.counts))]])
    before, after = replay(system, over, retention=old).retention or (None, None)
    assert before is not None
    assert after is not None
    assert before.tolist() == [0.0, 1.0]
    unchanged = replay(static, over, retention=old).retention
    assert unchanged is not None
    assert unchanged[0].tolist() == unchanged[1].tolist() == [0.0, 1.0]
