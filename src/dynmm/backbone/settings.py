"""The backbone's configuration, and the presets that follow from the size and shape of the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from dynmm.configuration import Settings
from dynmm.interactions.dataset import HARDLY_ANY_REPEATS, Dataset

Auto = Literal["auto"]
Decided = dict[str, Any]
_T = TypeVar("_T")
_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_Weight = Annotated[float, Field(ge=0)]
_Rate = Annotated[float, Field(ge=0, lt=1)]


class BackboneSettings(Settings):
    """How the sequence model is built and trained. "auto" follows from the data, see `resolve`."""

    width: int = Field(256, ge=8, description="Length of user and item vectors.")
    blocks: _Count | Auto = Field("auto", description="Transformer blocks; one where histories are short.")
    heads: int = Field(2, ge=1, description="Attention heads of each block; must divide the width.")
    inner: int = Field(256, ge=8, description="Width of the feed-forward layer in each block.")
    positions: _Count | Auto = Field("auto", description="Newest events of a user that the model reads.")
    order: Literal["fading", "places"] = Field(
        "fading",
        description="How the model knows the order: attention that fades with the distance, or a learned vector for "
        "each place counted from the newest event.",
    )
    windows: bool = Field(
        False, description="Train on the whole of histories longer than `positions`, cut into stretches."
    )
    temperature: _Positive | Auto = Field(
        "auto", description="Divides the cosine of user and item in the softmax; softer where histories are short."
    )
    item_scale: float = Field(0.02, gt=0, description="Standard deviation of the item table before training.")
    input_dropout: _Rate | Auto = Field("auto", description="Dropout on the input vectors.")
    block_dropout: _Rate | Auto = Field("auto", description="Dropout on both branches of each block.")
    loss: Literal["auto", "full", "sampled"] = Field(
        "auto", description="Softmax over the whole catalogue, or over the target and sampled negatives."
    )
    negatives: int = Field(2048, ge=1, description="Negatives of each batch, for the sampled loss.")
    negative_power: float = Field(
        0.5, ge=0, le=1, description="Negatives are drawn in proportion to an item's count to this power."
    )
    mask_history: bool | Auto = Field(
        "auto",
        description="Leave the items of a user's own history out of the softmax, since they are never asked for; "
        "auto does so where people hardly take an item twice.",
    )
    batch_places: _Count | Auto = Field("auto", description="Places of a training batch, padding included.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: _Weight | Auto = Field(
        "auto", description="Weight decay of AdamW on tables and matrices; stronger where histories are short."
    )
    warmup_epochs: float = Field(0.5, ge=0, description="Epochs over which the learning rate rises.")
    epochs: _Count | Auto = Field("auto", description="Epochs over which the learning rate falls to its end.")
    patience: _Count | Auto = Field(
        "auto", description="Stop after so many epochs without a better validation NDCG@10."
    )
    validate_from: float = Field(
        0.25, ge=0, le=1, description="Share of the epochs before the first validation; early ones never win."
    )
    validation_users: int = Field(10_000, ge=1, description="Most users that a validation asks about.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the products in training; auto is bfloat16 where the device computes in it."
    )
    steady_heap: bool = Field(True, description="Keep freed memory in the process while training (glibc only).")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} cannot be split among {self.heads} heads; choose a multiple")
        return self


@dataclass(frozen=True)
class DataShape:
    """What the presets look at: users with at least one event, items, and events that train.

    repeat_share: share of the events in which a user takes an item again.
    """

    n_users: int
    n_items: int
    n_events: int
    repeat_share: float = 0.0

    @classmethod
    def of(cls, dataset: Dataset) -> DataShape:
        """The shape of the events that train."""
        users = int(np.count_nonzero(np.diff(dataset.offsets)))
        return cls(users, dataset.n_items, len(dataset.events), dataset.repeat_share())

    @property
    def events_per_user(self) -> float:
        return self.n_events / max(1, self.n_users)

    @property
    def events_per_item(self) -> float:
        return self.n_events / max(1, self.n_items)


def resolve(settings: BackboneSettings, shape: DataShape) -> BackboneSettings:
    """The same settings with every "auto" decided. What is set by hand stays, and what depends on it follows."""
    decided = settings.model_dump()
    for name, preset in _PRESETS.items():
        if decided[name] == "auto":
            decided[name] = preset(shape, decided)
    return BackboneSettings.model_validate(decided)


#: Beyond so many events for each user histories are long: more of them is read, by a deeper model.
_LONG = 50


def _positions(shape: DataShape, _: Decided) -> int:
    return 200 if shape.events_per_user > _LONG else 50


def _blocks(shape: DataShape, _: Decided) -> int:
    # Chosen on validation: with some 8 events a user a second block learns histories by heart.
    return 2 if shape.events_per_user > _LONG else 1


def _temperature(shape: DataShape, _: Decided) -> float:
    return 0.05 if shape.events_per_user > _LONG else 0.07


def _weight_decay(shape: DataShape, _: Decided) -> float:
    return 0.01 if shape.events_per_user > _LONG else 0.3


def _loss(shape: DataShape, _: Decided) -> str:
    # The full softmax learns more from each event and costs events x items: up to some minutes an epoch here.
    return "full" if shape.n_events * shape.n_items <= 4e10 else "sampled"


def _mask_history(shape: DataShape, _: Decided) -> bool:
    # What was masked in training has no meaningful score, so it must stay unmasked where it can come back.
    return shape.repeat_share < HARDLY_ANY_REPEATS


def _dropout(shape: DataShape, _: Decided) -> float:
    """The less often an item was seen, the more there is to forget by heart.

    Chosen on validation: .5 up to some 20 events for each item, .3 at 60, .2 from 250 on.
    """
    seen = np.log(max(1.0, shape.events_per_item))
    return round(float(np.interp(seen, np.log([20, 60, 250]), [0.5, 0.3, 0.2])), 3)


def _batch_places(shape: DataShape, _: Decided) -> int:
    """Some 200 steps an epoch, in a power of two. Small data gains most from small batches."""
    power = round(math.log2(max(1, shape.n_events) / 200))
    return int(2 ** min(12, max(8, power)))


def _epochs(shape: DataShape, decided: Decided) -> int:
    """Some 2,200 steps, in 18 to 40 epochs: beyond 40 small data is learned by heart. Fewer on large data.

    15 at a million events, where each epoch has ten times the steps; then as the square root.
    """
    places: int = decided["batch_places"]
    steps = max(1.0, shape.n_events / places)
    size = math.log(max(1, shape.n_events))
    fewest = math.exp(np.interp(size, np.log([3e5, 1e6, 1e8]), np.log([18, 15, 1.5])))
    return max(3, round(min(40.0, max(fewest, 2200 / steps))))


def _patience(_: DataShape, decided: Decided) -> int:
    # The learning rate falls to the end, and the best epoch is mostly in the last fifth: give it time.
    return int(max(4, -(-3 * decided["epochs"] // 10)))


#: In this order, because the later ones look at the earlier.
_PRESETS: dict[str, Callable[[DataShape, Decided], object]] = {
    "positions": _positions,
    "blocks": _blocks,
    "temperature": _temperature,
    "weight_decay": _weight_decay,
    "loss": _loss,
    "mask_history": _mask_history,
    "input_dropout": _dropout,
    "block_dropout": _dropout,
    "batch_places": _batch_places,
    "epochs": _epochs,
    "patience": _patience,
}


def chosen(value: _T | Auto) -> _T:
    """A resolved value: anything but "auto"."""
    assert value != "auto", "settings must be resolved before they are used"
    return value
