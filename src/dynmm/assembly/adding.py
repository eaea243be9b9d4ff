"""Items that come after the fit: encoded as the others were, and rankable at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.assembly.whole import whole_of
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.features import Features
from dynmm.config import Config
from dynmm.encoders.running import encode_catalogue
from dynmm.errors import ArtefactError, DataError, UnsupportedByData
from dynmm.fusion.keeping import load_features
from dynmm.recommender import Recommender
from dynmm.runfiles import read_added
from dynmm.system import System
from dynmm.types import SimilarItem


def encode_new(
    recommender: Recommender, items: pl.DataFrame, media: Any, features: Path | None, cache: Path | None
) -> tuple[System, Sequence[Features]]:
    """The system with the new items behind the others, and their features.

    items: checked rows of `fields.ITEM_SCHEMA`. media, features: see `Recommender.add_items`. Raises
    UnsupportedByData for a run without a joint stage, DataError where an encoder of the fit is needed and missing.
    """
    system = whole_of(recommender)
    if system.joint is None:
        raise UnsupportedByData(
            "this run knows items by their interactions alone, so there is nothing to tell it of an item that nobody "
            "has taken; fit again on data with texts, pictures or sounds (fusion.variant must not be off)"
        )
    settings = Config.of(recommender.facts["config"]).encoders
    catalogue = Catalogue.from_frames(items, media, features)
    encoded = encode_catalogue(catalogue, settings, device=str(system.joint.device), cache=cache)
    joined = {one.modality for one in system.joint.features}
    used = [one for one in encoded if one.modality in joined]
    if not used:
        raise DataError(
            f"nothing that this run reads is known of the new items; give them one of: {', '.join(sorted(joined))}"
        )
    return system.with_items(used), used


def with_added(recommender: Recommender, folder: Path) -> None:
    """Add to a loaded recommender what was added before it was saved. Raises ArtefactError."""
    system = whole_of(recommender)
    if system.joint is None:
        raise ArtefactError(f"{folder} holds added items, and this run has no joint stage; copy the run again")
    table, features = read_added(folder), load_features(folder)
    recommender.admit(table, system.with_items(features), features)


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
