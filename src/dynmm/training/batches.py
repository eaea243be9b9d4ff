"""From events to padded training batches: bucketed by length, seeded by epoch.

B rows of a batch, L its padded length, N events, T real places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.training.softmax import MaskedPairs
from dynmm.types import IntArray


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Input items and the items that came next, padded on the right with item 0.

    items, targets: (B, L) int64. lengths: (B,) int64, real places of each row, at least 1.
    """

    items: torch.Tensor
    targets: torch.Tensor
    lengths: torch.Tensor

    @property
    def real(self) -> torch.Tensor:
        """(B, L) bool, true at real places."""
        return torch.arange(self.items.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Slices of one long array of items; each is a stretch of one user's history, oldest first.

    items: (N,) int64. starts, lengths: (S,) int64; a slice of n items trains n - 1 places.
    """

    items: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)


def training_sequences(items: IntArray, offsets: IntArray, positions: int, *, windows: bool) -> Sequences:
    """The stretches that train, of at most positions + 1 items each, so that one forward serves a user.

    items, offsets: a `Dataset`'s events. windows: cut the whole of a longer history into stretches, newest
    first, each starting on the item on which the one before it ends; else only the newest stretch trains.
    Users with one event train nothing and are left out.
    """
    offsets = np.asarray(offsets, dtype=np.int64)
    counts = np.diff(offsets)
    pieces = np.where(counts >= 2, -(-(counts - 1) // positions) if windows else 1, 0)
    user = np.repeat(np.arange(len(counts)), pieces)
    order = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    stops = offsets[1:][user] - order * positions
    starts = np.maximum(offsets[:-1][user], stops - positions - 1)
    return Sequences(np.asarray(items, dtype=np.int64), starts, stops - starts)


def epoch_batches(sequences: Sequences, places: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, in the order in which they train.

    places: padded places of a batch, at most (one row may have more). Rows of similar length share a batch;
    which ones is drawn anew for each epoch from (seed, epoch) alone, so an epoch can be repeated.
    """
    random = generator(seed, "batches", epoch)
    # Below one, the noise only shuffles rows of equal length: padding stays out.
    order = np.argsort(sequences.lengths + random.random(len(sequences)) * 0.99)
    padded = sequences.lengths[order] - 1
    batches, start = [], 0
    while start < len(order):
        # Lengths rise, so the first row that would burst the batch ends it.
        reach = min(len(order), start + max(1, places // int(padded[start])))
        sizes = padded[start:reach] * np.arange(1, reach - start + 1)
        stop = start + max(1, int(np.searchsorted(sizes, places, side="right")))
        batches.append(order[start:stop])
        start = stop
    return [batches[at] for at in random.permutation(len(batches))]


def training_batch(sequences: Sequences, rows: NDArray[np.int64]) -> TrainingBatch:
    """One padded batch of the chosen rows."""
    lengths = sequences.lengths[rows] - 1
    places = np.arange(int(lengths.max()))
    real = places < lengths[:, None]
    at = np.where(real, sequences.starts[rows][:, None] + places, 0)
    inputs = np.where(real, sequences.items[at], 0)
    targets = np.where(real, sequences.items[np.where(real, at + 1, 0)], 0)
    return TrainingBatch(torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(lengths))


def history_pairs(batch: TrainingBatch) -> MaskedPairs:
    """For each real place, the items that its user had up to there, less the place's own target.

    Rows count real places in row-major order: T = batch.real.sum().
    """
    real = batch.real
    length = real.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    row, place, had = (earlier & real[:, :, None]).nonzero(as_tuple=True)
    token = real.flatten().cumsum(0).view(real.shape) - 1
    items = batch.items[row, had]
    kept = items != batch.targets[row, place]
    return MaskedPairs(token[row, place][kept], items[kept])
