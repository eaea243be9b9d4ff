"""What became of the content of each modality: how many items have it, how good it is, what was left out and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES, Modality
from dynmm.catalogue.features import Features, LeftOut

#: `ModalityReport.encoder` where every picture or sound was refused before an encoder was chosen.
NO_ENCODER = "off"

_QUANTILES = {"min": 0.0, "10%": 0.1, "median": 0.5, "90%": 0.9, "max": 1.0}

#: Items of which nothing was given are named up to this number; beyond it they are counted. What was given and
#: lost is always named.
_NAMED = 1000

#: So many of those are named in one line.
_IN_A_LINE = 5


@dataclass(frozen=True)
class ModalityReport:
    """One modality of I items.

    items: that have it; without: that have not. quality: quantiles over the items that have it. left_out: items that
    stay without it though something was given, and why. lost: items that have it and lost one of their frames or
    tracks, and why. absent: items for which nothing was given, the first `_NAMED` of `absent_in_all`. strangers:
    pictures or sounds of items outside the catalogue; strange: the first ids of these, each once.
    """

    modality: str
    encoder: str
    items: int
    without: int
    quality: dict[str, float]
    left_out: tuple[LeftOut, ...]
    lost: tuple[LeftOut, ...] = ()
    absent: tuple[str, ...] = ()
    absent_in_all: int = 0
    strangers: int = 0
    strange: tuple[str, ...] = ()

    @classmethod
    def of(cls, features: Features, catalogue: Catalogue | None = None) -> ModalityReport:
        """From what an encoder made, and from what the catalogue's media could not give it."""
        lines, told = list(features.left_out), set(features.left_out)
        lines += [line for line in _refused(catalogue, features.modality) if line not in told]
        present = int(features.present.sum())
        seen = features.quality[features.present]
        has: set[str] = set()
        if catalogue is not None:
            has = {catalogue.ids[item] for item in np.flatnonzero(features.present)}
        without = tuple(line for line in lines if line.item not in has)
        absent = _absent(catalogue, has | {line.item for line in without})
        return cls(
            modality=features.modality,
            encoder=features.encoder,
            items=present,
            without=features.n_items - present,
            quality={name: float(np.quantile(seen, share)) for name, share in _QUANTILES.items()} if present else {},
            left_out=without,
            lost=tuple(line for line in lines if line.item in has),
            absent=tuple(absent[:_NAMED]),
            absent_in_all=len(absent),
            strangers=_strangers(catalogue, features.modality),
            strange=_strange(catalogue, features.modality),
        )

    @classmethod
    def of_nothing(cls, modality: Modality, catalogue: Catalogue) -> ModalityReport:
        """Where no item has it: what was given and refused."""
        lines = _refused(catalogue, modality)
        absent = _absent(catalogue, {line.item for line in lines})
        return cls(
            modality,
            NO_ENCODER,
            0,
            catalogue.n_items,
            {},
            tuple(lines),
            absent=tuple(absent[:_NAMED]),
            absent_in_all=len(absent),
            strangers=_strangers(catalogue, modality),
            strange=_strange(catalogue, modality),
        )

    def reasons(self) -> dict[str, int]:
        """How often each reason occurs, the most frequent first."""
        return dict(Counter(line.reason for line in (*self.left_out, *self.lost)).most_common())


@dataclass(frozen=True)
class MediaReport:
    """All modalities of a catalogue.

    notes: what was read all the same, such as a JPEG that is labelled png. nothing: items of which no modality was
    read, the first `_NAMED` of `nothing_in_all`. unread: rows of media of other modalities than image and audio, by
    name. strays: sentences on what was given beside the tables, or to a run that does not read it.
    """

    modalities: tuple[ModalityReport, ...]
    notes: tuple[LeftOut, ...] = ()
    nothing: tuple[str, ...] = ()
    nothing_in_all: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    strays: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        features: Iterable[Features],
        catalogue: Catalogue | None = None,
        *,
        unasked: Collection[Modality] = (),
        wanted: Collection[Modality] = (),
        strays: Sequence[str] = (),
    ) -> MediaReport:
        """From the features of each modality.

        catalogue: where their content came from. unasked: modalities that were turned off, of which nothing is told.
        wanted: those that are told of even where no item has them and nothing was given. strays: see the class.
        """
        features = list(features)
        made = {one.modality: ModalityReport.of(one, catalogue) for one in features}
        if catalogue is not None:
            for modality in MODALITIES:
                told = modality in wanted or (modality not in unasked and _given(catalogue, modality))
                if modality not in made and told:
                    made[modality] = ModalityReport.of_nothing(modality, catalogue)
        media = None if catalogue is None else catalogue.media
        nothing = _nothing(features, catalogue)
        return cls(
            tuple(made[modality] for modality in MODALITIES if modality in made),
            tuple(line for one in features for line in one.notes),
            tuple(nothing[:_NAMED]),
            len(nothing),
            {} if media is None else dict(media.unread),
            tuple(strays),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, as they come back from JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def lines(self, most: int | None = None) -> list[str]:
        """In sentences. most: of the items of each kind that are named one by one; None names all."""
        return list(lines_of(self.as_json(), most))

    def losses(self) -> list[str]:
        """See `losses_of`."""
        return list(losses_of(self.as_json()))


def losses_of(told: Mapping[str, Any], most: int | None = None) -> Iterator[str]:
    """Those of `lines_of` that tell of something that was given and not read, or of items without any content."""
    for one in told["modalities"]:
        name = one["modality"]
        yield from _some(name, [f"{line['item']} is left out: {line['reason']}" for line in one["left_out"]], most)
        lost = [f"{line['item']} has it, and lost one of several: {line['reason']}" for line in one["lost"]]
        yield from _some(name, lost, most)
        if one["strangers"]:
            some = ", ".join(repr(item) for item in one["strange"])
            yield (
                f"{name}: {one['strangers']:,} for items outside the catalogue, such as {some}; "
                "a row names its item, and a file is called after it"
            )
    for name, count in told["unread"].items():
        rows, are = (f"{count:,} rows", "are") if count > 1 else ("a row", "is")
        yield f"media: {rows} of modality {name!r} {are} not read; pictures are 'image' and sounds 'audio'"
    yield from told["strays"]
    if told["nothing"]:
        yield f"no content is known of {_named(told['nothing'], told['nothing_in_all'])}"


def lines_of(told: Mapping[str, Any], most: int | None = None) -> Iterator[str]:
    """`MediaReport.lines` of a report as it stands in a manifest."""
    for one in told["modalities"]:
        name, encoder = one["modality"], one["encoder"]
        by = "" if encoder == NO_ENCODER else f" by {encoder}"
        yield f"{name}: {one['items']:,} items{by}, {one['without']:,} without"
        if one["absent"] and one["items"]:
            yield f"{name}: nothing was given of {_named(one['absent'], one['absent_in_all'])}"
    yield from losses_of(told, most)
    yield from _some("", [f"{line['modality']}: {line['item']} {line['reason']}" for line in told["notes"]], most)


def _some(name: str, lines: Sequence[str], most: int | None) -> Iterator[str]:
    start = f"{name}: " if name else ""
    yield from (start + line for line in lines[:most])
    if most is not None and len(lines) > most:
        yield f"{start}and {len(lines) - most:,} more, named in model/manifest.json"


def _named(items: Sequence[str], count: int) -> str:
    """The first ids of `count`, and how many there are besides."""
    some = items[:_IN_A_LINE]
    more = f" and {count - len(some):,} more" if count > len(some) else ""
    return ", ".join(some) + more


def _refused(catalogue: Catalogue | None, modality: Modality) -> list[LeftOut]:
    if catalogue is None or catalogue.media is None:
        return []
    return [line for line in catalogue.media.left_out if line.modality == modality]


def _strangers(catalogue: Catalogue | None, modality: Modality) -> int:
    return 0 if catalogue is None or catalogue.media is None else catalogue.media.strangers[modality]


def _strange(catalogue: Catalogue | None, modality: Modality) -> tuple[str, ...]:
    return () if catalogue is None or catalogue.media is None else tuple(catalogue.media.strange[modality])


def _given(catalogue: Catalogue, modality: Modality) -> bool:
    """Whether pictures or sounds came that no item has in the end."""
    return bool(_refused(catalogue, modality)) or _strangers(catalogue, modality) > 0


def _absent(catalogue: Catalogue | None, told: Collection[str]) -> list[str]:
    return [] if catalogue is None else [item for item in catalogue.ids if item not in told]


def _nothing(features: Sequence[Features], catalogue: Catalogue | None) -> list[str]:
    if catalogue is None or not features:
        return []
    known = np.logical_or.reduce([one.present for one in features])
    return [catalogue.ids[item] for item in np.flatnonzero(~known)]
