"""Known answers for pair statistics: lags, transitions, backward pairs, the window, and blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynmm.baselines import pairs
from dynmm.baselines.item_knn import ItemKNN, ItemKNNSettings, pruned
from dynmm.baselines.pairs import PairSettings, pair_rows, weighted_history
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query
from dynmm.testing import dataset_of
from dynmm.types import UserHistory

PLAIN = {"distance_power": 1.0, "backward": 0.5, "transition": 2.0, "transition_steps": 2}


def counted(dataset: Dataset, chosen: PairSettings, block_pairs: int = 10**6) -> NDArray[np.float64]:
    return np.vstack([block.toarray() for _, block in pair_rows(dataset, chosen, block_pairs=block_pairs)])


def by_hand(histories: list[list[int]], n_items: int, chosen: PairSettings) -> NDArray[np.float64]:
    """The sums of the module's docstring, written as loops."""
    table = np.zeros((n_items, n_items))
    for items in histories:
        for place, later in enumerate(items):
            for lag in range(1, min(place, chosen.window) + 1):
                earlier = items[place - lag]
                near = lag**-chosen.distance_power
                table[earlier, later] += near + (chosen.transition / lag if lag <= chosen.transition_steps else 0)
                table[later, earlier] += chosen.backward * near
    return table


def test_one_history_of_four() -> None:
    chosen = PairSettings(**PLAIN, window=3)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 2] = expected[2, 3] = 1 + 2  # one step, with the whole transition
    expected[0, 2] = expected[1, 3] = 1 / 2 + 2 / 2
    expected[0, 3] = 1 / 3  # beyond the transition's two steps
    expected[1, 0] = expected[2, 1] = expected[3, 2] = 0.5
    expected[2, 0] = expected[3, 1] = 0.5 / 2
    expected[3, 0] = 0.5 / 3
    assert counted(dataset_of([[0, 1, 2, 3]]), chosen) == pytest.approx(expected)


def test_pairs_do_not_cross_users_and_end_with_the_window() -> None:
    table = counted(dataset_of([[0, 1, 2], [3, 4]]), PairSettings(**PLAIN, window=1))
    assert set(zip(*np.nonzero(table), strict=True)) == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)}


def test_without_order_all_pairs_count_alike() -> None:
    table = counted(dataset_of([[0, 1, 2], [0, 1]], time="none"), PairSettings())
    assert table.tolist() == [[0, 2, 1], [2, 0, 1], [1, 1, 0]]


histories_of_items = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=12), min_size=1, max_size=6)


@given(histories_of_items, st.integers(1, 6), st.sampled_from([1, 7, 10**6]))
@settings(max_examples=40, deadline=None)
def test_any_data_in_blocks_of_any_size(histories: list[list[int]], window: int, block_pairs: int) -> None:
    chosen = PairSettings(**PLAIN, window=window)
    table = counted(dataset_of(histories, n_items=7), chosen, block_pairs)
    assert table == pytest.approx(by_hand(histories, 7, chosen))


def test_history_weights_halve_with_each_later_item() -> None:
    chosen = PairSettings(recency=0.5, window=3)
    items, weights = weighted_history(np.array([9, 8, 7, 6], np.int32), chosen, ordered=True)
    assert (items.tolist(), weights.tolist()) == ([8, 7, 6], [0.25, 0.5, 1.0])
    items, weights = weighted_history(np.array([9, 8, 7, 6], np.int32), chosen, ordered=False)
    assert (items.tolist(), weights.tolist()) == ([8, 7, 6], [1.0, 1.0, 1.0])


def test_faint_history_is_left_out() -> None:
    items, _ = weighted_history(np.arange(50, dtype=np.int32), PairSettings(recency=0.05), ordered=True)
    assert items.tolist() == [47, 48, 49]


def test_the_score_is_recency_times_normalised_pairs() -> None:
    histories = [[0, 1], [0, 2], [3, 2], [0]]
    chosen = ItemKNNSettings(
        **PLAIN, window=5, source_power=0.5, target_power=1.0, recency=0.5, popularity=0.0, neighbours=4
    )
    system = ItemKNN(chosen)
    system.fit(dataset_of(histories, n_items=4))
    rankings = system.rank([Query(UserHistory(np.array([3, 0], np.int32)))], 4)
    # 3 -> 2 and 0 -> 1, 0 -> 2 each count 1 + 2; item counts are 3, 1, 2, 1.
    expected = {1: 3 / 3**0.5, 2: 3 / 3**0.5 / 2 + 0.5 * 3 / 2, 0: 0.0, 3: 0.0}
    found = dict(zip(rankings.items[0].tolist(), rankings.scores[0].tolist(), strict=True))
    assert found == pytest.approx(expected, rel=1e-6)


def test_what_no_history_points_to_goes_by_popularity() -> None:
    system = ItemKNN()
    system.fit(dataset_of([[0, 1], [2, 3], [2, 3], [3]]))
    assert system.rank([Query(UserHistory())], 4).items[0].tolist() == [3, 2, 0, 1]
    history = UserHistory(np.array([0], np.int32))
    assert system.rank([Query(history, exclude=history.items)], 4).items[0].tolist() == [1, 3, 2, -1]


def test_pruning_keeps_the_strongest_and_breaks_ties_by_item() -> None:
    matrix = sp.csr_matrix(np.array([[1, 5, 5, 2], [0, 1, 0, 0], [3, 3, 3, 0]], dtype=np.float32))
    assert pruned(matrix, 2).toarray().tolist() == [[0, 5, 5, 0], [0, 1, 0, 0], [3, 3, 0, 0]]
    assert pruned(matrix, 1).toarray().tolist() == [[0, 5, 0, 0], [0, 1, 0, 0], [3, 0, 0, 0]]


@pytest.mark.parametrize("gathered", [1, 5, 10**6])
def test_pairs_gathered_in_many_steps_add_up(gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_GATHERED", gathered)
    histories = [[0, 3, 1, 3], [2, 0], [1, 2, 3, 0, 1]]
    chosen = PairSettings(**PLAIN, window=4)
    # Forty items: fewer pairs than cells, so the sparse sum is taken.
    table = counted(dataset_of(histories, n_items=40), chosen)
    assert table == pytest.approx(by_hand(histories, 40, chosen))
