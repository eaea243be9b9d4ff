"""The contract of `dynmm.system.System`, as checks that anyone can run on a system of their own.

    import pytest
    from dynmm.testing import SYSTEM_CHECKS

    @pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: check.__name__)
    def test_my_system(check):
        check(MySystem)

or, all at once, `check_system(MySystem, floor=0.3)`. Each check takes a factory of unfitted, equally configured
systems, and raises `ContractBroken`, which says what was promised. A system may refuse data that lacks time or
order with UnsupportedByData, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.system import PADDING, Query, Rankings, System
from dynmm.testing.data import dataset_of, tiny_dataset, without_last
from dynmm.testing.state import state_hash
from dynmm.types import Events, UserHistory

SystemFactory = Callable[[], System]
SystemCheck = Callable[[SystemFactory], None]


class ContractBroken(AssertionError):
    """A part does not do what its protocol promises."""


def require(holds: bool, promise: str) -> None:
    """Raise ContractBroken with the promise, unless it holds."""
    if not holds:
        raise ContractBroken(promise)


def check_system(factory: SystemFactory, *, floor: float | None = None) -> None:
    """Run every check; with `floor`, also require this NDCG@10 on a small sequential world."""
    for check in SYSTEM_CHECKS:
        check(factory)
    if floor is not None:
        check_accuracy(factory, floor)


def check_is_a_system(factory: SystemFactory) -> None:
    """It has the methods of `System`, and a name."""
    system = factory()
    require(isinstance(system, System), "a system has name, fit, rank and learn")
    require(isinstance(system.name, str) and system.name != "", "a system has a name")


def check_fits_every_normal_shape(factory: SystemFactory) -> None:
    """Data without timestamps, order or titles, with single-event users or untouched items, is normal."""
    shapes = {
        "timestamps and titles": (tiny_dataset(1, titles=True), False),
        "200 events in all": (tiny_dataset(2, users=40, events=200), False),
        "users with one event": (dataset_of([[0, 1, 2], [3], [1], [2, 0, 4, 1]]), False),
        "one user": (dataset_of([[0, 1, 2, 3]]), False),
        "items that nobody took": (dataset_of([[0, 1, 2], [1, 2, 0], [2, 0]], n_items=9), False),
        "an item taken twice": (dataset_of([[0, 1, 0, 2], [1, 1, 2]]), False),
        "order only": (tiny_dataset(3, time="order"), True),
        "no order at all": (tiny_dataset(4, time="none"), True),
    }
    for shape, (dataset, may_refuse) in shapes.items():
        system = factory()
        try:
            system.fit(dataset)
        except UnsupportedByData:
            require(may_refuse, f"data with {shape} lacks nothing and is not refused")
            continue
        queries = queries_of(dataset)
        require_sound(system.rank(queries, 5), queries, 5, dataset.n_items)


def check_rankings_are_sound(factory: SystemFactory) -> None:
    """(B, k), best first, equal scores by item id, nothing twice, nothing excluded, for any k."""
    dataset, system = _fitted(factory)
    queries = queries_of(dataset)
    for k in (1, 7, dataset.n_items, dataset.n_items + 5):
        require_sound(system.rank(queries, k), queries, k, dataset.n_items)


def check_candidates_are_respected(factory: SystemFactory) -> None:
    """Only candidates come back, less those excluded; the rest of the row is padding."""
    dataset, system = _fitted(factory)
    some = np.array([7, 3, 11, 5], dtype=np.int32)
    histories = [dataset.history(user) for user in range(4)]
    moment = _moment(dataset)
    queries = [Query(history, moment, candidates=some, exclude=some[:place]) for place, history in enumerate(histories)]
    queries.append(Query(histories[0], moment, candidates=some, exclude=some))
    rankings = system.rank(queries, 6)
    require_sound(rankings, queries, 6, dataset.n_items)
    require(bool((rankings.items[-1] == PADDING).all()), "a query whose candidates are all excluded gets padding only")


def check_no_queries(factory: SystemFactory) -> None:
    """An empty list of queries gives empty rankings."""
    _, system = _fitted(factory)
    rankings = system.rank([], 5)
    require(rankings.items.shape == (0, 5) and rankings.scores.shape == (0, 5), "no queries give (0, k) rankings")


def check_strange_histories(factory: SystemFactory) -> None:
    """No history, one event, items unknown to training, repeats, very long: each gets a full ranking."""
    dataset = dataset_of([[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0]], n_items=8)
    system = factory()
    system.fit(dataset)
    moment = _moment(dataset)
    histories: tuple[list[int], ...] = ([], [1], [7], [7, 6, 5], [0, 0, 0, 1], [0, 1, 2, 3] * 100)
    queries = [Query(_history(items, moment), moment) for items in histories]
    rankings = system.rank(queries, 8)
    require_sound(rankings, queries, 8, dataset.n_items)


def check_rank_changes_nothing(factory: SystemFactory) -> None:
    """Neither the system's state nor the queries nor any global generator differ after ranking."""
    dataset, system = _fitted(factory)
    queries = queries_of(dataset)

    def everything() -> str:
        return state_hash([system, queries, np.random.get_state(), torch.get_rng_state()])

    before = everything()
    first = system.rank(queries, 5)
    require(everything() == before, "rank changes no state: not the system's, the queries' or a global generator's")
    _require_same(first, system.rank(queries, 5), "asking twice gives the same answer")


def check_batches_do_not_matter(factory: SystemFactory) -> None:
    """Neither batch composition nor request order changes what a user gets."""
    dataset, system = _fitted(factory)
    queries = queries_of(dataset)
    together = system.rank(queries, 6)
    backwards = system.rank(queries[::-1], 6)
    _require_same(together, Rankings(backwards.items[::-1], backwards.scores[::-1]), "request order changes nothing")
    alone = [system.rank([query], 6) for query in queries]
    stacked = Rankings(np.concatenate([r.items for r in alone]), np.concatenate([r.scores for r in alone]))
    _require_same(together, stacked, "a query gets alone what it gets in a batch")


def check_same_settings_same_answers(factory: SystemFactory) -> None:
    """Two systems from the factory, fitted on the same data, agree; so does one that was fitted before."""
    dataset, first = _fitted(factory)
    _, second = _fitted(factory)
    queries = queries_of(dataset)
    expected = first.rank(queries, 6)
    _require_same(expected, second.rank(queries, 6), "the same seed and data give the same answers")
    second.fit(tiny_dataset(9, users=5, items=20, events=40))
    second.fit(dataset)
    _require_same(expected, second.rank(queries, 6), "fitting again forgets the fit before")


def check_inputs_stay_as_they_were(factory: SystemFactory) -> None:
    """fit and learn write nothing into the arrays that they are given."""
    dataset = tiny_dataset()
    dataset = dataset.keep(np.ones(len(dataset.events), dtype=bool))  # copies, which can be written into
    fresh = events_after(dataset, [(0, 4), (1, 5)])
    before = state_hash([dataset.events, dataset.offsets]), state_hash(fresh)
    system = factory()
    system.fit(dataset)
    system.learn(fresh)
    after = state_hash([dataset.events, dataset.offsets]), state_hash(fresh)
    require(before == after, "fit and learn leave the arrays of their arguments alone")


def check_learning(factory: SystemFactory) -> None:
    """learn returns nothing, takes an empty batch and unknown users, and keeps rankings sound."""
    dataset, system = _fitted(factory)
    settled = state_hash(system)
    for events in (events_after(dataset, []), events_after(dataset, [(0, 3), (1, 3), (dataset.n_users, 8), (0, 9)])):
        returned: object = system.learn(events)  # type: ignore[func-returns-value]
        require(returned is None, "learn returns nothing")
        if len(events) == 0:
            require(state_hash(system) == settled, "learning from no events changes nothing")
    learns = getattr(system, "learns_online", None)
    if learns is not None:
        require(
            (state_hash(system) != settled) == learns, f"learns_online is {learns}, so learn changes state: {learns}"
        )
    queries = queries_of(dataset)
    require_sound(system.rank(queries, 5), queries, 5, dataset.n_items)


SYSTEM_CHECKS: tuple[SystemCheck, ...] = (
    check_is_a_system,
    check_fits_every_normal_shape,
    check_rankings_are_sound,
    check_candidates_are_respected,
    check_no_queries,
    check_strange_histories,
    check_rank_changes_nothing,
    check_batches_do_not_matter,
    check_same_settings_same_answers,
    check_inputs_stay_as_they_were,
    check_learning,
)


def check_accuracy(factory: SystemFactory, floor: float) -> None:
    """NDCG@10 on a small sequential world reaches `floor`; see `sequential_ndcg`."""
    reached = sequential_ndcg(factory())
    require(reached >= floor, f"NDCG@10 on the small sequential world is at least {floor}: it is {reached:.4f}")


def sequential_ndcg(system: System, *, seed: int = 5, users: int = 150, items: int = 100) -> float:
    """NDCG@10 of each user's last item, after fitting on the events before it.

    Nine events a user; the next item follows a secret ring in 80 % of all steps. Chance reaches .05, popularity
    .17, and knowing the ring above .75.
    """
    train, queries, answers = without_last(tiny_dataset(seed, users, items, 9 * users))
    system.fit(train)
    found = system.rank(queries, 10).items == np.asarray(answers)[:, None]
    gains = 1.0 / np.log2(2.0 + np.arange(10))
    return float((found * gains).sum(axis=1).mean())


def require_sound(rankings: Rankings, queries: Sequence[Query], k: int, n_items: int) -> None:
    """Raise ContractBroken unless these are well-formed rankings of these queries."""
    items, scores = rankings.items, rankings.scores
    require(items.shape == scores.shape == (len(queries), k), "rankings have one row for each query and k columns")
    require(items.dtype == np.int32 and scores.dtype == np.float32, "items are int32 and scores float32")
    for query, row, values in zip(queries, items, scores, strict=True):
        kept = row[row != PADDING]
        allowed = np.arange(n_items) if query.candidates is None else query.candidates
        allowed = np.setdiff1d(allowed, query.exclude)
        require(bool((row[len(kept) :] == PADDING).all()), "padding stands only behind the last candidate")
        require(bool(np.isneginf(values[len(kept) :]).all()), "padding scores -inf")
        require(len(np.unique(kept)) == len(kept), "no item comes back twice")
        require(bool(np.isin(kept, allowed).all()), "only candidates come back, and nothing that is excluded")
        require(len(kept) == min(k, len(allowed)), "every candidate is ranked until k are found")
        require(bool(np.isfinite(values[: len(kept)]).all()), "scores are finite")
        require(_in_order(kept, values[: len(kept)]), "scores never rise, and equal scores go by item id")


def queries_of(dataset: Dataset) -> list[Query]:
    """One query for each user, at the end of the data, without their history; and one without history."""
    moment = _moment(dataset)
    histories = [dataset.history(user) for user in range(dataset.n_users)]
    return [*(Query(one, moment, exclude=one.items) for one in histories), Query(_history([], moment), moment)]


def events_after(dataset: Dataset, pairs: Sequence[tuple[int, int]]) -> Events:
    """Events of these (user, item) pairs, one second apart, after the end of the data."""
    users, items = np.asarray(pairs, dtype=np.int32).reshape(-1, 2).T
    moment = _moment(dataset)
    times = None if moment is None else moment + 1000 * np.arange(len(pairs), dtype=np.int64)
    return Events(users, items, times)


def _fitted(factory: SystemFactory) -> tuple[Dataset, System]:
    dataset, system = tiny_dataset(), factory()
    system.fit(dataset)
    return dataset, system


def _moment(dataset: Dataset) -> int | None:
    times = dataset.events.timestamps
    return int(times.max()) + 1000 if dataset.has_time and times is not None else None


def _history(items: Sequence[int], moment: int | None) -> UserHistory:
    times = None if moment is None else moment - 1000 * np.arange(len(items), 0, -1, dtype=np.int64)
    return UserHistory(np.asarray(items, dtype=np.int32), times)


def _in_order(items: np.ndarray, scores: np.ndarray) -> bool:
    return bool((np.lexsort((items, -scores)) == np.arange(len(items))).all())


def _require_same(first: Rankings, second: Rankings, promise: str) -> None:
    same = np.array_equal(first.items, second.items)
    require(same and np.allclose(first.scores, second.scores, rtol=1e-5, atol=1e-6), promise)
