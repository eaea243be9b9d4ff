"""Features as they are on a bad day: a modality missing, replaced by noise, or another item's.

Works on any features, so that a fitted recommender can be asked what it loses. Which items are hit follows
from the seed and the modality alone, and those of a lower rate are among those of a higher one: a curve over
rates is not blurred by other draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Attributes, Features
from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.randomness import generator

#: `noise`: Gaussian, with mean and spread of each dimension. `wrong`: what belongs to another item.
Corruption = Literal["noise", "wrong"]
Kind = Literal["full", "drop", "noise", "wrong"]


@dataclass(frozen=True)
class Condition:
    """What is done to features: to which modalities together, and to which share of the items that have them.

    Raises ConfigError for a rate outside [0, 1], or where kind and modalities do not go together.
    """

    kind: Kind = "full"
    modalities: tuple[Modality, ...] = ()
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"{self.kind!r} is nothing that can be done to features; use {', '.join(get_args(Kind))}")
        if (self.kind == "full") != (not self.modalities):
            raise ConfigError("`full` names no modality, and every other condition names at least one")
        _check_rate(self.rate)

    @property
    def name(self) -> str:
        """As in tables, e.g. ``drop image=0.25`` or ``wrong text+image=1``."""
        return "full" if self.kind == "full" else f"{self.kind} {'+'.join(self.modalities)}={self.rate:g}"

    def applied(self, features: Sequence[Features], seed: int) -> list[Features]:
        """The features under this condition. See `drop` and `corrupt`."""
        changed = list(features)
        for modality in self.modalities:
            if self.kind == "drop":
                changed = drop(changed, modality, self.rate, seed)
            elif self.kind != "full":
                changed = corrupt(changed, modality, self.kind, self.rate, seed)
        return changed


def drop(features: Sequence[Features], modality: Modality, rate: float = 1.0, seed: int = 0) -> list[Features]:
    """The same with one modality taken away from a share of the items that have it.

    features: of any modalities and encoders. Raises ConfigError for a rate outside [0, 1] or a modality that is
    not there.
    """
    hit = _hit(features, modality, rate, seed)
    return [one.without(hit) if one.modality == modality else one for one in features]


def corrupt(
    features: Sequence[Features], modality: Modality, kind: Corruption = "noise", rate: float = 1.0, seed: int = 0
) -> list[Features]:
    """The same with one modality wrong for a share of the items that have it. Presence and quality stay.

    So nothing but the vector itself tells that it is wrong. Raises ConfigError as `drop` does, and
    UnsupportedByData where `wrong` finds no second item to take a vector from.
    """
    if kind not in get_args(Corruption):
        raise ConfigError(f"{kind!r} is no corruption; use {' or '.join(get_args(Corruption))}")
    hit = _hit(features, modality, rate, seed)
    change = _noisy if kind == "noise" else _swapped
    return [change(one, hit & one.present, rate, seed) if one.modality == modality else one for one in features]


def _hit(features: Sequence[Features], modality: Modality, rate: float, seed: int) -> NDArray[np.bool_]:
    """(I,) the items that are hit: the first of one shuffled order, so many as the rate says."""
    _check_rate(rate)
    present = [one.present for one in features if one.modality == modality]
    if not present:
        there = ", ".join(dict.fromkeys(one.modality for one in features)) or "none"
        raise ConfigError(f"these items have no modality {modality!r}; there is: {there}")
    owners = np.flatnonzero(np.any(present, axis=0))
    order = generator(seed, "corruption", modality).permutation(owners)
    hit = np.zeros(len(present[0]), dtype=np.bool_)
    hit[order[: round(rate * len(order))]] = True
    return hit


def _check_rate(rate: float) -> None:
    if not 0.0 <= rate <= 1.0:
        raise ConfigError(f"a rate is a share between 0 and 1, not {rate}")


def _noisy(features: Features, hit: NDArray[np.bool_], rate: float, seed: int) -> Features:
    if not hit.any():
        return features
    known = features.vectors[features.present]
    mean, spread = known.mean(axis=0), known.std(axis=0)
    draw = generator(seed, "corruption", features.modality, features.encoder, "noise")
    # Drawn for every item, so that an item's noise is the same at each rate.
    noise = draw.standard_normal(features.vectors.shape, dtype=np.float32) * spread + mean
    named = features.attributes
    unknown = None if named is None else Attributes(named.names, np.where(hit[:, None], np.nan, named.values))
    vectors = np.where(hit[:, None], noise, features.vectors).astype(np.float32)
    return replace(features, vectors=vectors, attributes=unknown, identity=f"{features.identity} noise={rate:g}/{seed}")


def _swapped(features: Features, hit: NDArray[np.bool_], rate: float, seed: int) -> Features:
    """Each hit item takes from the next one in a shuffled circle of all that have this modality."""
    if not hit.any():
        return features
    circle = generator(seed, "corruption", features.modality, "wrong").permutation(np.flatnonzero(features.present))
    if len(circle) < 2:
        raise UnsupportedByData(f"only one item has {features.modality}: there is no other item to take it from")
    source = np.arange(features.n_items)
    source[circle] = np.roll(circle, -1)
    source = np.where(hit, source, np.arange(features.n_items))
    named = features.attributes
    others = None if named is None else Attributes(named.names, named.values[source])
    identity = f"{features.identity} wrong={rate:g}/{seed}"
    return replace(features, vectors=features.vectors[source], attributes=others, identity=identity)


#: Nothing is done.
FULL = Condition()
