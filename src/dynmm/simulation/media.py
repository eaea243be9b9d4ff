"""Which items have pictures and sounds, which of these are wrong or cut short, and all their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.catalogue.content import AUDIO, IMAGE, Modality
from dynmm.interactions.fields import BYTES, FORMAT, ITEM, MODALITY
from dynmm.randomness import generator
from dynmm.simulation.catalogue import Catalogue
from dynmm.simulation.pictures import LOOK, paint, png
from dynmm.simulation.settings import MediaConfig, PictureConfig, SoundConfig, WorldConfig
from dynmm.simulation.sounds import TONE, play, wav
from dynmm.simulation.styles import shown_tastes, styles

#: Columns of the truth: whose picture or sound it is, and whether its bytes are cut short.
OF = "of"
CUT = "cut"

_MEDIA_SCHEMA = {ITEM: pl.String(), MODALITY: pl.String(), FORMAT: pl.String(), BYTES: pl.Binary()}
_TRUTH_SCHEMA = {ITEM: pl.String(), MODALITY: pl.String(), OF: pl.String(), CUT: pl.Boolean()}
#: What is left of a file that is cut short, as a share of its bytes: at least, at most.
_LEFT = (0.1, 0.6)


def media_truth(config: WorldConfig, item_ids: Sequence[str], seed: int) -> pl.DataFrame:
    """One row for each item and modality that it has: item_id, modality, of (the item it is really of), cut."""
    parts = []
    for modality, one in _configs(config):
        has, of, cut = _fates(one, config.items, seed, modality)
        ids = pl.Series(item_ids, dtype=pl.String)
        frame = pl.DataFrame({ITEM: ids, MODALITY: [modality] * config.items, OF: ids.gather(of), CUT: cut})
        parts.append(frame.filter(pl.Series(has)))
    return pl.concat([pl.DataFrame(schema=_TRUTH_SCHEMA), *parts])


def media_counts(truth: pl.DataFrame) -> dict[str, dict[str, int]]:
    """By modality: how many items have it, and of how many of these it is wrong, or cut short."""
    counts = {}
    for modality in truth[MODALITY].unique(maintain_order=True):
        rows = truth.filter(pl.col(MODALITY) == modality)
        counts[modality] = {
            "items": rows.height,
            "wrong": int((rows[OF] != rows[ITEM]).sum()),
            "cut short": int(rows[CUT].sum()),
        }
    return counts


def media_table(config: WorldConfig, catalogue: Catalogue, item_ids: Sequence[str], seed: int) -> pl.DataFrame | None:
    """The canonical table of pictures and sounds: item_id, modality, format, bytes. None where both are off."""
    if config.pictures is None and config.sounds is None:
        return None
    parts = [pl.DataFrame(schema=_MEDIA_SCHEMA)]
    for modality, one in _configs(config):
        rows = [(item_ids[item], file) for item, file in _files(config, one, catalogue, seed, modality)]
        names = [modality] * len(rows), ["png" if modality == IMAGE else "wav"] * len(rows)
        columns = ([item for item, _ in rows], *names, [file for _, file in rows])
        parts.append(pl.DataFrame(dict(zip(_MEDIA_SCHEMA, columns, strict=True)), schema=_MEDIA_SCHEMA))
    return pl.concat(parts)


def _configs(config: WorldConfig) -> Iterator[tuple[Modality, MediaConfig]]:
    if config.pictures is not None:
        yield IMAGE, config.pictures
    if config.sounds is not None:
        yield AUDIO, config.sounds


def _fates(
    config: MediaConfig, items: int, seed: int, modality: Modality
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]:
    """(I,) which items have one, (I,) the item that it is really of, (I,) whether it is cut short."""
    random = generator(seed, modality, "fates")
    has = random.random(items) < config.share
    fate = random.random(items)
    another = (np.arange(items) + random.integers(1, items, items)) % items
    wrong = fate < config.wrong
    return has, np.where(wrong, another, np.arange(items)), ~wrong & (fate < config.wrong + config.cut)


def _files(
    config: WorldConfig, one: MediaConfig, catalogue: Catalogue, seed: int, modality: Modality
) -> Iterator[tuple[int, bytes]]:
    """The item and the bytes of each file, by item, then frame or track."""
    has, of, cut = _fates(one, config.items, seed, modality)
    shown = shown_tastes(config.factors, modality, one.shows)
    traits = len(LOOK if modality == IMAGE else TONE)
    style = styles(catalogue.liking, shown, traits, one.follows, seed, modality)
    for item in np.flatnonzero(has).tolist():
        for place in range(one.each):
            # By the item that it is of: a wrong picture is the very picture of that other item.
            file = _made(one, style[of[item]], generator(seed, modality, int(of[item]), place))
            if cut[item]:
                left = generator(seed, modality, "cut", item, place).uniform(*_LEFT)
                file = file[: int(left * len(file))]
            yield item, file


def _made(config: MediaConfig, style: NDArray[np.float64], random: np.random.Generator) -> bytes:
    if isinstance(config, PictureConfig):
        return png(paint(style, config.size, random))
    assert isinstance(config, SoundConfig)
    return wav(play(style, config.seconds, random))
