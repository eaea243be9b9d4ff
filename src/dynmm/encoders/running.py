"""From a catalogue to the features of each modality: what ``encoders.*`` asks for, carried out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import torch

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES, TEXT, Modality
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.catalogue.features import Features
from dynmm.encoders.cache import FeatureCache
from dynmm.encoders.choosing import decided
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.encoding import READING_VERSIONS, Encoding, Progress
from dynmm.encoders.precomputed import feature_files, read_precomputed
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import AUTO, OFF, PRECOMPUTED, TABLE, Choice, create, parse
from dynmm.errors import UnsupportedByData
from dynmm.precision import product_precision

logger = logging.getLogger(__name__)

#: What becomes of a modality that has an encoder by name, and that no item has.
Missing = Literal["refuse", "skip"]


def encode_catalogue(
    catalogue: Catalogue,
    settings: EncoderSettings,
    *,
    device: str = "cpu",
    cache: Path | None = None,
    on_progress: Progress | None = None,
    decoding: DecodingSettings | None = None,
    missing: Missing = "refuse",
) -> list[Features]:
    """The features of every modality that is not off and of which some item has something, text first.

    Rows are in dense order. What is in the cache is neither decoded nor encoded again; what is encoded goes there
    batch by batch, so that a run that was ended goes on where it was. device: such as ``cpu`` or ``cuda``. cache:
    root of the caches, None for the user's. on_progress: called with modality, contents done and contents in all.
    decoding: limits of the decoders in place of those of the settings. missing: what becomes of a modality that the
    settings name an encoder for and that no item has; ``auto`` leaves it out in any case. Where a feature file has
    none of the items, ``skip`` gives vectors of width 0. Raises UnsupportedByData
    where that is refused, ConfigError and MissingExtraError where an encoder cannot be had, DataError for feature
    files and media tables that cannot be read, StorageError where the cache cannot be used.
    """
    found: list[Features] = []
    limits = decoding or settings.decoding
    for modality in MODALITIES:
        asked = parse(modality, settings.named(modality))
        choice = decided(modality, asked, catalogue)
        if choice.name == OFF:
            continue
        if not _has(catalogue, modality, choice):
            _say_missing(modality, choice, missing)
            continue
        if asked.name == AUTO:
            logger.info("encoders.%s: auto is %s here", modality, choice)
        if choice.name == PRECOMPUTED:
            folder, may_lack = catalogue.features_folder, missing == "skip"
            found.append(read_precomputed(folder, modality, catalogue.ids, choice.source, may_lack=may_lack))
            continue
        encoder = create(modality, choice, device=device, precision=settings.precision, words=settings.words)
        encoding = Encoding(catalogue, encoder, choice.name, settings.batch(modality), on_progress, limits)
        with FeatureCache(cache).shelf(_made_by(choice, encoder, settings, device, encoding.decoding)) as shelf:
            found.append(encoding.features(shelf))
    return found


def _has(catalogue: Catalogue, modality: Modality, choice: Choice) -> bool:
    if choice.name == PRECOMPUTED:
        return bool(feature_files(catalogue.features_folder, modality))
    if modality == TEXT:
        return any(text and text.strip() for text in catalogue.texts)
    return catalogue.media is not None and bool(catalogue.media.entries(modality))


def _say_missing(modality: Modality, choice: Choice, missing: Missing) -> None:
    what = f"features/{modality}-NAME.parquet" if choice.name == PRECOMPUTED else f"{modality} of any item"
    told = f"encoders.{modality} is {choice}, but the data has no {what}"
    if missing == "refuse":
        raise UnsupportedByData(f"{told}; add it, or set encoders.{modality} to auto or off")
    # Of new items a text is often all there is; that no file was given for vectors that the fit had is a slip.
    logger.log(logging.WARNING if choice.name == PRECOMPUTED else logging.INFO, "%s; the items stay without", told)


def _made_by(
    choice: Choice, encoder: Encoder, settings: EncoderSettings, device: str, decoding: DecodingSettings
) -> str:
    """All that vectors follow from beside their content. Precision is a part: who asks for one gets that one."""
    entry = TABLE.get(choice.name)
    parts = [encoder.modality, encoder.identity, f"reading {READING_VERSIONS[encoder.modality]}"]
    if entry is not None and "precision" in entry.arguments:
        parts.append(str(product_precision(settings.precision, torch.device(device))))
    if encoder.modality != TEXT:
        parts.append(decoding.decisive)
    return "\n".join(parts)
