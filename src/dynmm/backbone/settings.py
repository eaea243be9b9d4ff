"""The backbone's configuration, and the presets that follow from the size and shape of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.dataset import Dataset

Auto = Literal["auto"]
_T = TypeVar("_T")
_Count = Annotated[int, Field(ge=1)]
_Rate = Annotated[float, Field(ge=0, lt=1)]


class BackboneSettings(Settings):
    """How the sequence model is built and trained. "auto" follows from the data, see `resolve`."""

    width: int = Field(256, ge=8, description="Length of user and item vectors.")
    blocks: int = Field(2, ge=1, description="Transformer blocks.")
    heads: int = Field(2, ge=1, description="Attention heads of each block; must divide the width.")
    inner: int = Field(256, ge=8, description="Width of the feed-forward layer in each block.")
    positions: _Count | Auto = Field("auto", description="Newest events of a user that the model reads.")
    windows: bool | Auto = Field(
        "auto", description="Train on the whole of histories longer than `positions`, cut into stretches."
    )
    temperature: float = Field(0.05, gt=0, description="Divides the cosine of user and item in the softmax.")
    item_scale: float = Field(0.02, gt=0, description="Standard deviation of the item table before training.")
    input_dropout: _Rate | Auto = Field("auto", description="Dropout on the input vectors.")
    block_dropout: _Rate | Auto = Field("auto", description="Dropout on both branches of each block.")
    loss: Literal["auto", "full", "sampled"] = Field(
        "auto", description="Softmax over the whole catalogue, or over the target and sampled negatives."
    )
    negatives: int = Field(512, ge=1, description="Negatives of each batch, for the sampled loss.")
    negative_power: float = Field(
        0.0, ge=0, le=1, description="Negatives are drawn in proportion to an item's count to this power."
    )
    mask_history: bool = Field(
        True, description="Leave the items of a user's own history out of the softmax: they are never asked for."
    )
    batch_places: _Count | Auto = Field("auto", description="Places of a training batch, padding included.")
    learning_rate: Annotated[float, Field(gt=0)] | Auto = Field("auto", description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW on tables and matrices.")
    warmup_epochs: float = Field(0.5, ge=0, description="Epochs over which the learning rate rises.")
    epochs: _Count | Auto = Field("auto", description="Epochs over which the learning rate falls to its end.")
    patience: int = Field(4, ge=1, description="Stop after so many epochs without a better validation NDCG@10.")
    validation_users: int = Field(10_000, ge=1, description="Most users that a validation asks about.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the products in training; auto is bfloat16 where the device computes in it."
    )
    steady_heap: bool = Field(True, description="Keep freed memory in the process while training (glibc only).")


@dataclass(frozen=True)
class DataShape:
    """What the presets look at. median_length and long_length: median and 90th percentile of the users' events."""

    n_users: int
    n_items: int
    n_events: int
    median_length: float
    long_length: float

    @classmethod
    def of(cls, dataset: Dataset) -> DataShape:
        """The shape of the events that train."""
        lengths = np.diff(dataset.offsets)
        lengths = lengths[lengths > 0]
        median, long = np.quantile(lengths, [0.5, 0.9]) if len(lengths) else (0.0, 0.0)
        return cls(len(lengths), dataset.n_items, len(dataset.events), float(median), float(long))


def resolve(settings: BackboneSettings, shape: DataShape) -> BackboneSettings:
    """The same settings with every "auto" decided. What is set by hand stays."""
    presets = _presets(shape)
    changes = {name: value for name, value in presets.items() if getattr(settings, name) == "auto"}
    return settings.model_copy(update=changes)


def _presets(shape: DataShape) -> dict[str, object]:
    long_histories = shape.long_length > 100
    return {
        "positions": 200 if long_histories else 50,
        "windows": long_histories,
        "loss": "full" if shape.n_items <= 40_000 else "sampled",
        "input_dropout": 0.2 if long_histories else 0.5,
        "block_dropout": 0.2 if long_histories else 0.5,
        "batch_places": 2048,
        "learning_rate": 1e-3,
        "epochs": 15,
    }


def chosen(value: _T | Auto) -> _T:
    """A resolved value: anything but "auto"."""
    assert value != "auto", "settings must be resolved before they are used"
    return value
