"""What became of the content of each modality: how many items have it, how good it is, what was left out and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.features import Features, LeftOut

_QUANTILES = {"min": 0.0, "10%": 0.1, "median": 0.5, "90%": 0.9, "max": 1.0}


@dataclass(frozen=True)
class ModalityReport:
    """One modality of I items.

    items: that have it; without: that have not. quality: quantiles over the items that have it. left_out: each
    item that lost it, or a frame of it, and why. strangers: pictures or sounds of items outside the catalogue.
    """

    modality: str
    encoder: str
    items: int
    without: int
    quality: dict[str, float]
    left_out: tuple[LeftOut, ...]
    strangers: int = 0

    @classmethod
    def of(cls, features: Features, catalogue: Catalogue | None = None) -> ModalityReport:
        """From what an encoder made, and from what the catalogue's media could not give it."""
        media = None if catalogue is None else catalogue.media
        lines, told = list(features.left_out), set(features.left_out)
        if media is not None:
            lines += [line for line in media.left_out if line.modality == features.modality and line not in told]
        present = int(features.present.sum())
        seen = features.quality[features.present]
        return cls(
            modality=features.modality,
            encoder=features.encoder,
            items=present,
            without=features.n_items - present,
            quality={name: float(np.quantile(seen, share)) for name, share in _QUANTILES.items()} if present else {},
            left_out=tuple(lines),
            strangers=0 if media is None else media.strangers[features.modality],
        )

    def reasons(self) -> dict[str, int]:
        """How often each reason occurs, the most frequent first."""
        return dict(Counter(line.reason for line in self.left_out).most_common())


@dataclass(frozen=True)
class MediaReport:
    """All modalities of a catalogue.

    notes: what was read all the same, such as a JPEG that is labelled png. unread: rows of media of other
    modalities than image and audio, by name.
    """

    modalities: tuple[ModalityReport, ...]
    notes: tuple[LeftOut, ...] = ()
    unread: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, features: Iterable[Features], catalogue: Catalogue | None = None) -> MediaReport:
        """From the features of each modality. catalogue: where their content came from."""
        features = list(features)
        media = None if catalogue is None else catalogue.media
        return cls(
            tuple(ModalityReport.of(one, catalogue) for one in features),
            tuple(line for one in features for line in one.notes),
            {} if media is None else dict(media.unread),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, as they come back from JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def lines(self) -> list[str]:
        """Each item left without something, in a sentence."""
        lost = [f"item {line.item}: {line.modality} {line.reason}" for one in self.modalities for line in one.left_out]
        strangers = [
            f"{one.strangers:,} {one.modality} rows belong to items outside the catalogue"
            for one in self.modalities
            if one.strangers
        ]
        unread = [f"{count:,} rows of modality {name!r} are not read" for name, count in self.unread.items()]
        return lost + strangers + unread + [f"item {line.item}: {line.modality} {line.reason}" for line in self.notes]
