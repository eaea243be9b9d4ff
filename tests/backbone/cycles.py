"""A small world whose next item follows with certainty: everyone walks round the same ring of items."""

from __future__ import annotations

import numpy as np
import polars as pl

from dynmm.backbone.settings import BackboneSettings
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.types import Events

N_ITEMS = 30

#: Small and quick, in float32 so that every processor gives the same kind of result.
QUICK = BackboneSettings(
    width=32,
    inner=32,
    epochs=4,
    patience=4,
    validate_from=0.0,
    batch_places=128,
    input_dropout=0.1,
    block_dropout=0.1,
    learning_rate=3e-3,
    precision="float32",
)


def ring_histories(n_users: int, seed: int, shortest: int = 1, longest: int = 12) -> list[list[int]]:
    random = np.random.default_rng(seed)
    starts = random.integers(0, N_ITEMS, n_users)
    lengths = random.integers(shortest, longest + 1, n_users)
    return [
        [int((start + step) % N_ITEMS) for step in range(length)] for start, length in zip(starts, lengths, strict=True)
    ]


def dataset_of(histories: list[list[int]], n_items: int = N_ITEMS, validation: Cases | None = None) -> Dataset:
    lengths = [len(history) for history in histories]
    items = np.asarray([item for history in histories for item in history], dtype=np.int32)
    users = np.repeat(np.arange(len(histories)), lengths).astype(np.int32)
    return Dataset(
        info=DatasetInfo(time_resolution="order"),
        users=Vocabulary([f"u{user}" for user in range(len(histories))]),
        items=Vocabulary([f"i{item}" for item in range(n_items)]),
        events=Events(users, items),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_table=pl.DataFrame({"item_id": [f"i{item}" for item in range(n_items)]}),
        validation=validation,
    )


def ring_dataset(n_users: int = 150, *, seed: int = 0, with_validation: bool = False) -> Dataset:
    """Walks round the ring; the validation asks for each walk's next step."""
    histories = ring_histories(n_users, seed)
    return dataset_of(histories, validation=next_step_cases(histories) if with_validation else None)


def next_step_cases(histories: list[list[int]]) -> Cases:
    lengths = [len(history) for history in histories]
    return Cases(
        users=np.arange(len(histories), dtype=np.int32),
        history_items=np.asarray([item for history in histories for item in history], dtype=np.int32),
        history_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        target_items=np.asarray([(history[-1] + 1) % N_ITEMS for history in histories], dtype=np.int32),
        target_offsets=np.arange(len(histories) + 1, dtype=np.int64),
    )
