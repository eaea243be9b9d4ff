from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tests.encoders.made import noise_picture, picture, plain, real_folder, weights

from dynmm.encoders.encoder import Encoder
from dynmm.encoders.mobilenet import MobileNet, resized


@pytest.fixture(scope="module")
def mobilenet() -> MobileNet:
    return MobileNet(weights("mobilenet-v2"))


def test_the_whole_picture_in_another_size() -> None:
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 20:] = 200
    small = resized(wide, (4, 4))
    assert small.shape == (4, 4, 3)
    assert small[:, 0].max() == 0
    assert small[:, 3].min() == 200


def test_it_is_an_encoder_and_rows_do_not_meet(mobilenet: MobileNet) -> None:
    assert isinstance(mobilenet, Encoder)
    pictures = [noise_picture(1), plain(10, 90, 200), noise_picture(2, (3, 700))]
    together = mobilenet.encode(pictures)
    assert together.vectors.shape == (3, mobilenet.width)
    assert together.vectors.dtype == np.float32
    assert together.attributes is None
    alone = np.concatenate([mobilenet.encode([one]).vectors for one in pictures[::-1]])[::-1]
    assert np.array_equal(together.vectors, alone)
    assert MobileNet(weights("mobilenet-v2")).identity == mobilenet.identity


def test_threads_change_nothing(mobilenet: MobileNet) -> None:
    shown = [noise_picture(3)]
    two = MobileNet(weights("mobilenet-v2"), threads=2)
    assert np.array_equal(two.encode(shown).vectors, mobilenet.encode(shown).vectors)


def test_real_posters_give_the_vectors_that_others_computed(mobilenet: MobileNet) -> None:
    folder = real_folder("ml-1m")
    known = pl.read_parquet(folder / "features" / "vision-mobilenet_v2.parquet").gather_every(190).head(20)
    wanted = pl.col("item_id").is_in(known["item_id"].to_list())
    posters = pl.scan_parquet(folder / "media.parquet").filter(wanted).collect()
    rows = known.join(posters, on="item_id", how="inner")
    assert len(rows) == 20
    shown = [picture(np.asarray(Image.open(io.BytesIO(row)).convert("RGB"))) for row in rows["bytes"]]
    found, expected = mobilenet.encode(shown).vectors, rows["vector"].to_numpy()
    cosine = (found * expected).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.95
