"""What one stage tells the next of how it was trained on the users' sequences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Resolved values; `BackboneSettings` says what each means."""

    positions: int
    windows: bool
    full_softmax: bool
    negatives: int
    negative_power: float
    mask_history: bool
    batch_places: int
    epochs: int
    temperature: float
    weight_decay: float
    validation_users: int
    steady_heap: bool
