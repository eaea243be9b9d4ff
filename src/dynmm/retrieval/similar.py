"""Items like an item, and by which sense they are alike.

A latent is the gated sum z = sum_m a_m x_m of what each modality says, so the cosine of two items falls into
one part for each modality, exactly: cos(i, j) = sum_m a_m(j) <z_i, x_m(j)> / (|z_i| |z_j|).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.features import Attributes
from dynmm.retrieval.index import ItemIndex
from dynmm.retrieval.requests import Limits
from dynmm.types import BoolArray

#: How a likeness that one modality carries is told. Others are told by their name.
WORDS = {
    "cf": "people take them together",
    "text": "is described alike",
    "image": "looks alike",
    "audio": "sounds alike",
}

#: An attribute holds for an item above this.
HOLDS = 0.5

#: A likeness in what both items have is the reason if it is this much of the largest part. Below that they are alike in
#: something that only one of them shows, and no plain sentence says so.
_ENOUGH = 0.5

#: The index goes by the inner product; out of so many times the items asked for, the cosine chooses.
_POOL = 4


@dataclass(frozen=True)
class Similar:
    """An item that is like another.

    item: dense. score: the cosine of the latents. parts: what each modality of this item adds to it, they sum to the
    score. reason: the modality with the largest part, in words, among those that both items have; None where no such
    part is above zero, or another one is more than twice as large. attributes: words that hold for both, strongest
    first.
    """

    item: int
    score: float
    parts: dict[str, float]
    reason: str | None
    attributes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Makings:
    """Of what the latents are made: z = sum over m of weights[:, m] * parts[m].

    names: M modalities. parts: M of (I, D) float32. weights: (I, M) float32. present: (I, M) bool, False where
    a part was guessed or is not there: such a part enters the sum and is never given as the reason.
    """

    names: tuple[str, ...]
    parts: Sequence[NDArray[np.float32]]
    weights: NDArray[np.float32]
    present: BoolArray

    def of(self, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """(C, M, D): the weighted parts of some items. (C,)."""
        inputs = np.stack([part[items] for part in self.parts], axis=1).astype(np.float64)
        weighted: NDArray[np.float64] = inputs * self.weights[items].astype(np.float64)[:, :, None]
        return weighted


def similar(
    item: int, k: int, index: ItemIndex, makings: Makings, attributes: Sequence[Attributes] = ()
) -> list[Similar]:
    """The k items most like one, by the cosine of their latents, best first, equal cosines by item id.

    index: over the latents or the same brought to unit length. attributes: of the same items; a word that
    several give counts once. Items of which nothing is known are like none: asked about, the answer is empty.
    """
    z = makings.of(np.asarray([item]))[0].sum(axis=0)
    length = float(np.linalg.norm(z))
    if length == 0.0:
        return []
    asked = Limits(exclude=[np.asarray([item])])
    found = index.search((z / length).astype(np.float32)[None], max(1, _POOL * k), asked).items[0].astype(np.int64)
    found = np.sort(found[found >= 0])
    inputs = makings.of(found)
    lengths = np.linalg.norm(inputs.sum(axis=1), axis=1)
    found, inputs, lengths = found[lengths > 0], inputs[lengths > 0], lengths[lengths > 0]
    parts = inputs @ z / (length * lengths[:, None])
    scores = parts.sum(axis=1)
    order = np.argsort(-scores, kind="stable")[:k]
    return [
        Similar(
            int(found[row]),
            float(scores[row]),
            dict(zip(makings.names, parts[row].tolist(), strict=True)),
            _reason(makings, item, int(found[row]), parts[row]),
            shared_attributes(item, int(found[row]), attributes),
        )
        for row in order
    ]


def _reason(makings: Makings, item: int, other: int, parts: NDArray[np.float64]) -> str | None:
    both = makings.present[item] & makings.present[other] & (parts > 0)
    if not both.any():
        return None
    best = int(np.argmax(np.where(both, parts, -np.inf)))
    if parts[best] < _ENOUGH * parts.max():
        return None
    name = makings.names[best]
    return WORDS.get(name, f"is alike by {name}")


def shared_attributes(item: int, other: int, attributes: Sequence[Attributes]) -> tuple[str, ...]:
    """Words that hold for both items, strongest first by the weaker of the two values, equal ones by the word."""
    weaker: dict[str, float] = {}
    for one in attributes:
        values = np.minimum(one.values[item], one.values[other])
        for column in np.flatnonzero(values > HOLDS):  # NaN, not known, is not above
            name = one.names[column]
            weaker[name] = max(weaker.get(name, 0.0), float(values[column]))
    return tuple(sorted(weaker, key=lambda name: (-weaker[name], name)))
