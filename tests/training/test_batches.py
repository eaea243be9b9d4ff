"""Every place of every history trains once, padded only as far as needed, in an order that a seed decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.backbone.inference import LENGTH_STEP, inference_batches
from dynmm.training.batches import (
    epoch_batches,
    history_pairs,
    training_batch,
    training_sequences,
)

histories_of = st.lists(st.lists(st.integers(0, 9), max_size=23), min_size=1, max_size=12)


def _flat(
    histories: list[list[int]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    items = np.asarray([item for history in histories for item in history], np.int32)
    return items, np.cumsum([0] + [len(history) for history in histories]).astype(np.int64)


@given(histories_of, st.integers(1, 8), st.booleans())
@settings(max_examples=60)
def test_stretches_are_the_newest_part_or_all_of_a_history(
    histories: list[list[int]], positions: int, windows: bool
) -> None:
    items, offsets = _flat(histories)
    sequences = training_sequences(items, offsets, positions, windows=windows)
    found = [
        items[start : start + length].tolist()
        for start, length in zip(sequences.starts, sequences.lengths, strict=True)
    ]
    expected = []
    for history in histories:
        stop = len(history)
        while stop >= 2:
            expected.append(history[max(0, stop - positions - 1) : stop])
            stop = stop - positions if windows else 0
    assert found == expected


@given(histories_of, st.integers(1, 40))
@settings(max_examples=60)
def test_an_epoch_trains_every_stretch_once_within_its_places(histories: list[list[int]], places: int) -> None:
    sequences = training_sequences(*_flat(histories), 50, windows=False)
    batches = epoch_batches(sequences, places, seed=1, epoch=1)
    rows = np.concatenate(batches) if batches else np.empty(0, np.int64)
    assert sorted(rows.tolist()) == list(range(len(sequences)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * int(sequences.lengths[batch].max() - 1) <= places


def test_the_seed_and_the_epoch_decide_the_order() -> None:
    sequences = training_sequences(np.arange(400), np.arange(0, 401, 4), 50, windows=False)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(row) for batch in epoch_batches(sequences, 30, seed, epoch) for row in batch]

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_targets_are_inputs_moved_by_one() -> None:
    sequences = training_sequences(np.asarray([5, 6, 7, 8, 9, 1, 2]), np.asarray([0, 4, 7]), 50, windows=False)
    batch = training_batch(sequences, np.asarray([1, 0]))
    assert batch.lengths.tolist() == [2, 3]
    assert batch.items.tolist() == [[9, 1, 0], [5, 6, 7]]
    assert batch.targets.tolist() == [[1, 2, 0], [6, 7, 8]]
    assert batch.real.tolist() == [[True, True, False], [True, True, True]]


@given(histories_of.filter(lambda histories: any(len(history) > 1 for history in histories)))
@settings(max_examples=60)
def test_history_pairs_name_what_the_user_had_but_never_the_target(histories: list[list[int]]) -> None:
    sequences = training_sequences(*_flat(histories), 50, windows=False)
    batch = training_batch(sequences, np.arange(len(sequences)))
    pairs = history_pairs(batch)
    expected = set()
    token = 0
    for row, length in enumerate(batch.lengths.tolist()):
        for place in range(length):
            had = set(batch.items[row, : place + 1].tolist()) - {int(batch.targets[row, place])}
            expected |= {(token, item) for item in had}
            token += 1
    assert set(zip(pairs.rows.tolist(), pairs.items.tolist(), strict=True)) == expected
    assert pairs.rows.tolist() == sorted(pairs.rows.tolist())


@given(histories_of, st.integers(1, 20), st.integers(1, 60))
@settings(max_examples=60)
def test_inference_covers_every_history_with_a_length_of_its_own(
    histories: list[list[int]], positions: int, places: int
) -> None:
    arrays = [np.asarray(history, np.int32) for history in histories]
    seen = {}
    for rows, items, lengths in inference_batches(arrays, positions, places=places):
        assert items.shape[1] % LENGTH_STEP == 0
        for row, line, length in zip(rows.tolist(), items, lengths.tolist(), strict=True):
            assert row not in seen
            seen[row] = line[:length].tolist()
            assert items.shape[1] - length < LENGTH_STEP or length == 0
    assert seen == {row: history[-positions:] for row, history in enumerate(histories)}


def test_lengths_and_dtypes_fit_the_model() -> None:
    ((rows, items, lengths),) = list(inference_batches([np.asarray([3, 4], np.int32)], 50))
    assert rows.tolist() == [0]
    assert items.dtype == lengths.dtype == torch.int64
    assert lengths.tolist() == [2]


@pytest.mark.parametrize("windows", [False, True])
def test_users_with_one_event_train_nothing(windows: bool) -> None:
    assert len(training_sequences(np.asarray([1, 2]), np.asarray([0, 1, 1, 2]), 50, windows=windows)) == 0
