"""Items that come after the fit: encoded as the others were, and rankable at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.assembly.whole import whole_of
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES, Modality
from dynmm.config import Config
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import AUTO, OFF, PRECOMPUTED
from dynmm.errors import ArtefactError, DataError, UnsupportedByData
from dynmm.fusion.diagnostics import item_gate
from dynmm.fusion.keeping import load_features
from dynmm.recommender import Recommender
from dynmm.runfiles import read_added
from dynmm.system import System
from dynmm.types import SimilarItem


def encode_new(
    recommender: Recommender, items: pl.DataFrame, media: Any, features: Path | None, cache: Path | None
) -> System:
    """The system with the new items behind the others.

    items: checked rows of `fields.ITEM_SCHEMA`. media, features: see `Recommender.add_items`. Raises
    UnsupportedByData for a run without a joint stage, DataError where nothing that it reads is known of the items.
    """
    system = whole_of(recommender)
    if system.joint is None:
        raise UnsupportedByData(
            "this run knows items by their interactions alone, so there is nothing to tell it of an item that nobody "
            "has taken; fit again on data with texts, pictures or sounds (fusion.variant must not be off)"
        )
    read = {one.modality: one.encoder for one in system.joint.joined.features}
    settings = _as_fitted(Config.of(recommender.facts["config"]).encoders, read)
    catalogue = Catalogue.from_frames(items, media, features)
    encoded = encode_catalogue(catalogue, settings, device=str(system.joint.device), cache=cache, missing="skip")
    if not any(one.present.any() for one in encoded):
        wanted = ", ".join(_wanted(modality, encoder) for modality, encoder in sorted(read.items()))
        raise DataError(f"nothing that this run reads is known of the new items; give them one of: {wanted}")
    return system.with_items(encoded, items)


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


def _wanted(modality: Modality, encoder: str) -> str:
    kind, _, name = encoder.partition(":")
    return f"{modality} (features=FOLDER, with {modality}-{name}.parquet)" if kind == PRECOMPUTED else modality


def with_added(recommender: Recommender, folder: Path) -> None:
    """Add to a loaded recommender what was added before it was saved. Raises ArtefactError."""
    system = whole_of(recommender)
    if system.joint is None:
        raise ArtefactError(f"{folder} holds added items, and this run has no joint stage; copy the run again")
    table = read_added(folder)
    recommender.admit(table, system.with_items(load_features(folder), table))


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
