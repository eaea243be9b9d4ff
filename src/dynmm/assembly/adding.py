"""Items that come after the fit: encoded as the others were, and rankable at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.assembly.arrivals import Arrival, write_arrival
from dynmm.assembly.live import ITEMS, follow, writable
from dynmm.assembly.whole import whole_of
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES, Modality
from dynmm.catalogue.features import Features
from dynmm.catalogue.report import MediaReport
from dynmm.config import Config
from dynmm.encoders.precomputed import feature_strays, unread_files
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import AUTO, OFF, PRECOMPUTED, TABLE, parse
from dynmm.errors import ConfigError, DataError, UnsupportedByData
from dynmm.fusion.diagnostics import item_gate
from dynmm.interactions.fields import FEATURES_DIR, ITEM
from dynmm.interactions.itemtable import checked_items
from dynmm.interactions.tables import as_polars
from dynmm.recommender import Recommender
from dynmm.types import SimilarItem

logger = logging.getLogger(__name__)


def add_items(
    recommender: Recommender, items: Any, media: Any, features: Path | None, cache: Path | None
) -> MediaReport:
    """See `Recommender.add_items`."""
    table, _ = checked_items(as_polars(items, "items"), "items", skip_bad=False)
    if not len(table):
        return MediaReport(())
    with recommender.lock:
        _check_new(recommender, table)
        encoded, report = _encoded(recommender, table, media, features, cache)
        joint = whole_of(recommender).joint
        assert joint is not None, "without a joint stage nothing was encoded"
        joint.with_items(encoded)  # what does not fit the stage is refused before the log is opened for it
        live = writable(recommender)
        # After a refusal the log may hold more than it acknowledged; an append of nothing lets it look.
        live.log.append(())
        follow(recommender)
        # What others wrote since this run was opened is read now, too; they may have added the same.
        _check_new(recommender, table)
        # What they are is kept before the log tells that they came. What a kill in between left behind is replaced.
        number = live.admitted
        arrival = Arrival(table, tuple(encoded))
        if live.home is not None:
            write_arrival(arrival, live.home, number)
        live.arrivals[number:] = [arrival]
        live.log.mark(ITEMS, {"number": number, "ids": table[ITEM].to_list()})
        follow(recommender)
        return report


def _check_new(recommender: Recommender, table: pl.DataFrame) -> None:
    """Raises DataError where one of these items is known."""
    known = [one for one in table[ITEM].to_list() if one in recommender.items]
    if known:
        raise DataError(f"items: {known[0]!r} is known already; add_items takes new ones, or fit again to change it")


def _encoded(
    recommender: Recommender, items: pl.DataFrame, media: Any, features: Path | None, cache: Path | None
) -> tuple[list[Features], MediaReport]:
    """What the run's encoders make of the new items, and what became of what was given.

    items: checked rows of `fields.ITEM_SCHEMA`. media, features: see `Recommender.add_items`. Raises
    UnsupportedByData for a run without a joint stage, DataError where nothing that it reads is known of the items.
    """
    system = whole_of(recommender)
    if system.joint is None:
        raise UnsupportedByData(
            "this run knows items by their interactions alone, so there is nothing to tell it of an item that nobody "
            "has taken; fit again on data with texts, pictures or sounds (fusion.variant must not be off)"
        )
    if features is not None and not features.is_dir():
        raise DataError(
            f"{features} is no folder; features takes the folder that the feature files of new items lie in"
        )
    read = {one.modality: one.encoder for one in system.joint.joined.features}
    settings = _as_fitted(Config.of(recommender.facts["config"]).encoders, read)
    catalogue = Catalogue.from_frames(items, media, features)
    try:
        encoded = encode_catalogue(catalogue, settings, device=str(system.joint.device), cache=cache, missing="skip")
    except ConfigError as error:
        if not (absent := _absent(settings)):
            raise
        raise ConfigError(
            f"{error}. The run keeps what its fit was given ({', '.join(absent)}), and a path that is not absolute is "
            f"sought from {Path.cwd()}: work from the folder of the fit, or put what is missing, or a link to it, there"
        ) from error
    encoded = system.joint.joined.credible(encoded, catalogue.ids)
    if not any(one.present.any() for one in encoded):
        wanted = ", ".join(_wanted(modality, encoder) for modality, encoder in sorted(read.items()))
        raise DataError(f"nothing that this run reads is known of the new items; give them one of: {wanted}")
    unread = [modality for modality in MODALITIES if modality not in read]
    strays = [*_not_read(catalogue, read), *feature_strays(features)]
    report = MediaReport.of(encoded, catalogue, unasked=unread, wanted=read, strays=strays)
    for line in report.losses():
        logger.warning("%s", line)
    return system.joint.as_kept(encoded), report


def _not_read(catalogue: Catalogue, read: Mapping[Modality, str]) -> list[str]:
    """What was given of other modalities than the fit's, or by other encoders' files, or as pictures and sounds where
    the fit had vectors, in sentences."""
    fitted = ", ".join(f"{modality} by {encoder}" for modality, encoder in read.items())
    why = f"not read: this run reads what it was fitted on, which is {fitted}"
    given = {} if catalogue.media is None else catalogue.media.given
    opened = [one for one, encoder in read.items() if encoder.partition(":")[0] != PRECOMPUTED]
    media = [f"{modality}: {count:,} given and {why}" for modality, count in given.items() if modality not in opened]
    files = unread_files(catalogue.features_folder, read)
    return media + [f"{FEATURES_DIR}/{path.name} is {why}" for _, _, path in files]


def _as_fitted(settings: EncoderSettings, read: Mapping[Modality, str]) -> EncoderSettings:
    """What was chosen for the data of the fit, whatever this data or this installation would make of `auto`.

    read: encoder by modality, of those that took part in the joint stage.
    """
    chosen: dict[str, str] = {}
    for modality in MODALITIES:
        named = settings.named(modality)
        if modality not in read:
            chosen[modality] = OFF
        else:
            chosen[modality] = read[modality] if named in (AUTO, PRECOMPUTED) else named
    return settings.model_copy(update=chosen)


def _absent(settings: EncoderSettings) -> list[str]:
    """The settings whose weights do not lie where they say. A name on the hub is among them."""
    chosen = {one: parse(one, settings.named(one)) for one in MODALITIES}
    return [
        f"encoders.{one}={choice}"
        for one, choice in chosen.items()
        if choice.name in TABLE and choice.source and not Path(choice.source).expanduser().exists()
    ]


def _wanted(modality: Modality, encoder: str) -> str:
    kind, _, name = encoder.partition(":")
    return f"{modality} (features=FOLDER, with {modality}-{name}.parquet)" if kind == PRECOMPUTED else modality


def takes_items(recommender: Recommender) -> bool:
    """Whether a run can be told of new items: one that knows items by their interactions alone cannot."""
    return whole_of(recommender).joint is not None


def similar_to(recommender: Recommender, item: int, k: int) -> list[SimilarItem]:
    """Of one dense item: what is most like it, on outside ids."""
    return [
        SimilarItem(
            recommender.items.decode(one.item),
            one.score,
            recommender.title(recommender.items.decode(one.item)),
            one.parts,
            one.reason,
            one.attributes,
        )
        for one in whole_of(recommender).similar(item, k)
    ]


def gate_of(recommender: Recommender, item: int) -> dict[str, float]:
    """Of one dense item: the weight of each modality that it has."""
    joint = whole_of(recommender).joint
    return {"cf": 1.0} if joint is None else item_gate(joint, item)
