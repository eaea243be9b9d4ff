"""What one encoder made of one modality of every item: vectors, presence, quality, named attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import Modality
from dynmm.types import BoolArray


@dataclass(frozen=True)
class LeftOut:
    """An item that stays without a modality, or without one of its frames or tracks, and why."""

    item: str
    modality: Modality
    reason: str


@dataclass(frozen=True)
class Attributes:
    """Properties with names that a person can check on the picture or the sound itself.

    names: A words such as ``dark`` or ``fast``. values: (I, A) float32 in [0, 1], how much each holds;
    NaN where it is not known.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """One modality of I items as vectors.

    encoder: its name in the table of encoders. identity: what the vectors follow from besides the content
    (weights, version): equal identities give equal vectors, but for the precision of products. vectors: (I, W)
    float32, zeros where absent. present: (I,) bool. quality: (I,) float32 in [0, 1], without labels, 0 where absent.
    left_out: what could not be read. notes: what was read all the same, such as a JPEG that is labelled png.
    """

    modality: Modality
    encoder: str
    identity: str
    vectors: NDArray[np.float32]
    present: BoolArray
    quality: NDArray[np.float32]
    attributes: Attributes | None = None
    left_out: Sequence[LeftOut] = field(default=())
    notes: Sequence[LeftOut] = field(default=())

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    def take(self, items: NDArray[np.int64]) -> Features:
        """The same of some items, in that order. items: (J,) dense."""
        named = self.attributes
        some = None if named is None else Attributes(named.names, named.values[items])
        return replace(
            self,
            vectors=self.vectors[items],
            present=self.present[items],
            quality=self.quality[items],
            attributes=some,
        )

    def without(self, items: NDArray[np.bool_]) -> Features:
        """The same with this modality taken away from the marked items. items: (I,) bool."""
        kept = self.present & ~items
        named = self.attributes
        hidden = None if named is None else Attributes(named.names, np.where(kept[:, None], named.values, np.nan))
        return replace(
            self,
            vectors=np.where(kept[:, None], self.vectors, np.float32(0)),
            present=kept,
            quality=np.where(kept, self.quality, np.float32(0)),
            attributes=hidden,
        )

    def followed_by(self, others: Features) -> Features:
        """These items and then others, of the same encoder."""
        attributes = None
        if self.attributes is not None and others.attributes is not None:
            values = np.concatenate([self.attributes.values, others.attributes.values])
            attributes = Attributes(self.attributes.names, values)
        return replace(
            self,
            vectors=np.concatenate([self.vectors, others.vectors]),
            present=np.concatenate([self.present, others.present]),
            quality=np.concatenate([self.quality, others.quality]),
            attributes=attributes,
            left_out=(*self.left_out, *others.left_out),
            notes=(*self.notes, *others.notes),
        )
