"""Pictures and sounds for the report: decoded, made small, written anew, and none where there is none."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, SAMPLE_RATE
from dynmm.demo.exhibiting import SECONDS, SIDE, exhibit
from dynmm.demo.worlds import Newcomers
from dynmm.simulation.pictures import png
from dynmm.simulation.sounds import wav


def of_one(modality: str, *files: bytes) -> Catalogue:
    """A catalogue of one item with these files."""
    rows = [{"item_id": "a", "modality": modality, "format": None, "bytes": one} for one in files]
    media = pl.DataFrame(rows, schema_overrides={"format": pl.String, "bytes": pl.Binary})
    return Catalogue.from_frames(pl.DataFrame({"item_id": ["a"]}), media)


def commented(image: bytes, text: bytes) -> bytes:
    """A PNG with a text chunk before its end."""
    chunk = b"tEXt" + b"Comment\x00" + text
    packed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return image[:-12] + packed + image[-12:]


def test_the_first_catalogue_that_has_it_shows_it(new: Newcomers) -> None:
    catalogue = Catalogue.from_frames(new.items, new.media)
    item = new.items["item_id"][0]
    picture = exhibit([catalogue], IMAGE, item, "a <caption>")
    sound = exhibit([Catalogue.of(new.data), catalogue], AUDIO, item, "")
    assert picture is not None
    assert sound is not None
    assert (picture.kind, picture.caption) == ("image/png", "a <caption>")
    assert picture.content.startswith(b"\x89PNG")
    assert sound.kind == "audio/wav"
    assert sound.content.startswith(b"RIFF")


@pytest.mark.parametrize("item", ["nobody", "i0000"])
def test_where_there_is_nothing_nothing_is_shown(item: str) -> None:
    texts_alone = Catalogue.from_frames(pl.DataFrame({"item_id": ["i0000"], "title": ["A"]}))
    assert exhibit([texts_alone], IMAGE, item, "") is None
    assert exhibit([], AUDIO, item, "") is None


def test_what_the_file_carries_besides_is_not_shown() -> None:
    plain = png(np.full((20, 30, 3), 120, np.uint8))
    shown = exhibit([of_one("image", commented(plain, b"<script>alert(1)</script>"))], IMAGE, "a", "")
    assert shown is not None
    assert b"script" not in shown.content


def test_large_pictures_are_made_small_and_long_sounds_short() -> None:
    from PIL import Image

    large = png(np.random.default_rng(0).integers(0, 255, (300, 900, 3), np.uint8))
    picture = exhibit([of_one("image", large)], IMAGE, "a", "")
    assert picture is not None
    assert max(Image.open(io.BytesIO(picture.content)).size) == SIDE
    long = wav(np.sin(np.arange(20 * SAMPLE_RATE) / 10))
    sound = exhibit([of_one("audio", long)], AUDIO, "a", "")
    assert sound is not None
    assert len(sound.content) <= 44 + 2 * SECONDS * SAMPLE_RATE


def test_a_damaged_file_is_passed_over() -> None:
    good = png(np.full((20, 30, 3), 9, np.uint8))
    shown = exhibit([of_one("image", good[:40], good)], IMAGE, "a", "")
    assert shown is not None
    assert exhibit([of_one("image", b"no picture")], IMAGE, "a", "") is None


def test_the_small_picture_is_the_picture(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255
    shown = exhibit([of_one("image", png(pixels))], IMAGE, "a", "")
    assert shown is not None
    again = np.asarray(Image.open(io.BytesIO(shown.content)).convert("RGB")).astype(int)
    left, right = again[:, : again.shape[1] // 4], again[:, -again.shape[1] // 4 :]
    assert left[..., 0].mean() > 200
    assert right[..., 0].mean() < 50
