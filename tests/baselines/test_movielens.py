"""Floors on real data: the MovieLens sample, on its validation part and on the end of a stream's training part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynmm import baselines
from dynmm.baselines.online_item_knn import OnlineItemKNN
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import SplitConfig, make_split
from dynmm.system import Query, System
from dynmm.types import UserHistory

_FOLDER = Path(__file__).parents[2] / "examples" / "movielens"


@pytest.fixture(scope="module")
def movielens() -> Dataset:
    if not _FOLDER.is_dir():
        pytest.skip("examples/movielens is not part of this copy")
    return Dataset.load(_FOLDER)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), [("popularity", 0.04), ("item-knn", 0.14), ("als", 0.065), ("bpr", 0.065)])
def test_validation_hit_rate(movielens: Dataset, name: str, floor: float) -> None:
    split = make_split(movielens, SplitConfig(name="full"), 0)
    system = baselines.create(name)
    system.fit(split.train)
    cases = split.validation
    rankings = system.rank([cases.query(case) for case in range(len(cases))], 10)
    hits = [np.isin(cases.targets(case), rankings.items[case]).any() for case in range(len(cases))]
    assert np.mean(hits) >= floor


def replayed_hits(data: Dataset, system: System, rows: np.ndarray, *, learn: bool) -> int:
    """Hits in the first ten, each event asked about before it is learned."""
    assert data.events.timestamps is not None
    histories = [data.history(user) for user in range(data.n_users)]
    hits = 0
    for row in rows.tolist():
        user, moment = int(data.events.users[row]), int(data.events.timestamps[row])
        past = UserHistory(histories[user].items[: row - data.offsets[user]])
        found = system.rank([Query(past, moment, exclude=past.items)], 10)
        hits += int(data.events.items[row] in found.items[0])
        if learn:
            system.learn(data.events.take(np.array([row])))
    return hits


@pytest.mark.slow
def test_counting_online_beats_the_same_counts_frozen(movielens: Dataset) -> None:
    order = movielens.in_time_order()
    trained, start, end = (int(share * len(order)) for share in (0.4, 0.67, 0.68))
    before = np.zeros(len(order), dtype=bool)
    before[order[:trained]] = True
    frozen, online = OnlineItemKNN(), OnlineItemKNN()
    frozen.fit(movielens.keep(before))
    online.fit(movielens.keep(before))
    online.learn(movielens.events.take(order[trained:start]))
    with_learning = replayed_hits(movielens, online, order[start:end], learn=True)
    without = replayed_hits(movielens, frozen, order[start:end], learn=False)
    assert with_learning > 1.2 * without > 0
