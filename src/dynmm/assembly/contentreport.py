"""What became of all that a data set has of its items: for the manifest, and for callers who read none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES
from dynmm.catalogue.features import Features
from dynmm.catalogue.report import MediaReport, losses_of
from dynmm.config import Config
from dynmm.encoders.precomputed import feature_strays, unread_files
from dynmm.encoders.table import OFF
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import FEATURES_DIR
from dynmm.interactions.mediafiles import media_strays
from dynmm.recommender import Recommender

logger = logging.getLogger(__name__)

#: Items of each kind that are named in the log; the facts of the recommender name all.
_LOGGED = 5


def content_report(
    features: Sequence[Features], catalogue: Catalogue, config: Config, source: Dataset
) -> dict[str, Any]:
    """What became of all that the data has of its items, for the manifest."""
    unasked = [one for one in MODALITIES if one not in config.fusion.modalities or config.encoders.named(one) == OFF]
    if config.fusion.variant == "off":
        unasked = list(MODALITIES)
    strays = feature_strays(catalogue.features_folder)
    for modality, name, path in unread_files(
        catalogue.features_folder, {one.modality: one.encoder for one in features}
    ):
        if modality not in unasked:
            strays.append(f"{FEATURES_DIR}/{path.name} is not read: encoders.{modality}=precomputed:{name} takes it")
    if source.folder is not None:
        strays = [*media_strays(source.folder), *strays]
    return MediaReport.of(features, catalogue, unasked=unasked, strays=strays).as_json()


def with_losses_told(recommender: Recommender) -> Recommender:
    """The same, once the log has told which content was given and not read: `facts["content"]` has all of it."""
    for line in losses_of(recommender.facts["content"], _LOGGED):
        logger.warning("%s", line)
    return recommender
