from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.signal import resample_poly
from tests.encoders.made import hiss, real_folder, sound, tone, weights

from dynmm.catalogue.content import SAMPLE_RATE, Sound
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.yamnet import CLASSES, NAMES, YamNet, class_names, log_mel, patches
from dynmm.errors import ConfigError

#: Places of three of AudioSet's classes in YAMNet's table.
SPEECH, BIRD, MUSIC = 0, 106, 132


@pytest.fixture(scope="module")
def yamnet() -> YamNet:
    return YamNet(weights("yamnet"))


def test_the_spectrum_of_silence_is_the_offset_alone() -> None:
    assert np.allclose(log_mel(np.zeros(16_000, dtype=np.float32)), np.log(0.001))


def test_the_spectrum_of_a_tone_peaks_in_its_band() -> None:
    """64 bands between 125 and 7500 Hz, equally far apart in mel."""
    low, high = (1127 * np.log1p(hertz / 700) for hertz in (125, 7500))
    for hertz in (250, 1000, 4000):
        place = (1127 * np.log1p(hertz / 700) - low) / (high - low) * 65 - 1
        assert log_mel(tone(hertz, length=1).samples).mean(axis=0).argmax() == pytest.approx(place, abs=1)


def test_the_magnitude_of_a_tone_by_hand() -> None:
    """1000 Hz is bin 32 of 512. Bins around it hold half the amplitude times the window's transform there.

    The weights of all bands add up to 1 at each bin.
    """
    places = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * places / 400)
    around = np.exp(-2j * np.pi * np.outer(np.arange(-6, 7), places) / 512) @ window
    magnitudes = np.exp(log_mel(tone(1000, 0.5, 1).samples)).sum(axis=1) - 64 * 0.001
    assert np.abs(around[6]) == pytest.approx(200)
    assert magnitudes.mean() == pytest.approx(0.5 / 2 * np.abs(around).sum(), rel=0.02)


@pytest.mark.parametrize(
    ("length", "count"),
    [(0, 1), (15_600, 1), (15_601, 2), (15_600 + 7680, 2), (15_600 + 7681, 3), (SAMPLE_RATE * 10, 20)],
)
def test_patches_cover_the_sound(length: int, count: int) -> None:
    assert patches(np.zeros(length, dtype=np.float32)).shape == (count, 96, 64)


def test_it_is_an_encoder_and_rows_do_not_meet(yamnet: YamNet) -> None:
    assert isinstance(yamnet, Encoder)
    sounds = [hiss(length=2), tone(440, length=0.1), sound(np.zeros(0))]
    together = yamnet.encode(sounds)
    assert together.vectors.shape == (3, yamnet.width)
    assert together.vectors.dtype == np.float32
    assert (yamnet.attribute_names, together.attributes) == ((), None)
    alone = np.concatenate([yamnet.encode([one]).vectors for one in sounds[::-1]])[::-1]
    assert np.array_equal(together.vectors, alone)


def test_class_names_beside_the_model_become_attributes(yamnet: YamNet, tmp_path: Path) -> None:
    for file in weights("yamnet").glob("*.tflite"):
        shutil.copy(file, tmp_path)
    _write_names(tmp_path / NAMES, [f"class {place}" for place in range(CLASSES)])
    named = YamNet(tmp_path)
    encoded = named.encode([hiss(length=1), tone(440, length=1)])
    assert named.attribute_names[:2] == ("class 0", "class 1")
    assert encoded.attributes is not None
    assert encoded.attributes.shape == (2, CLASSES)
    assert ((encoded.attributes >= 0) & (encoded.attributes <= 1)).all()
    assert named.identity != yamnet.identity


@pytest.mark.parametrize("names", [["one", "two"], ["same"] * CLASSES, [""] * CLASSES])
def test_a_table_without_all_the_names_is_refused(names: list[str], tmp_path: Path) -> None:
    _write_names(tmp_path / NAMES, names)
    with pytest.raises(ConfigError, match=NAMES):
        class_names(tmp_path / NAMES)


def test_real_clips_are_heard_for_what_they_are(yamnet: YamNet) -> None:
    soundfile = pytest.importorskip("soundfile")
    clips = pl.read_parquet(real_folder("librosa-audio") / "clips.parquet")
    expected = {"libri1": SPEECH, "libri3": SPEECH, "brahms": MUSIC, "vibeace": MUSIC, "robin": BIRD}
    for name, content in clips.filter(pl.col("clip_id").is_in(list(expected))).select("clip_id", "ogg").iter_rows():
        samples, rate = soundfile.read(io.BytesIO(content), frames=500_000, dtype="float32", always_2d=True)
        steady = resample_poly(samples.mean(axis=1), SAMPLE_RATE, rate).astype(np.float32)
        _, scores = yamnet._encode(Sound(steady[: 8 * SAMPLE_RATE], rate, samples.shape[1]))
        assert expected[name] in np.argsort(-scores)[:2], name


def _write_names(table: Path, names: list[str]) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows([place, f"/m/{place}", name] for place, name in enumerate(names))
