"""Pictures: every kind that is taken comes out as upright RGB; every bad one is refused in plain words."""

from __future__ import annotations

import io
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.catalogue.files import JPEG, PNG, WEBP, mutated, picture_file, png_bomb, png_with_text_bomb, scene, zip_bomb

from dynmm.catalogue.content import Picture
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.formats import mislabelled
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings

Open = Callable[[bytes], Picture | Refused]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.fixture
def opened(decoder: Decoder) -> Open:
    def one(raw: bytes) -> Picture | Refused:
        (result,) = decoder.decode("image", [raw])
        assert isinstance(result, Picture | Refused)
        return result

    return one


def picture(result: Picture | Refused) -> Picture:
    assert isinstance(result, Picture), result
    return result


def refusal(result: Picture | Refused) -> str:
    assert isinstance(result, Refused)
    return result.reason


@pytest.mark.parametrize(("kind", "options"), [(PNG, {}), (WEBP, {"lossless": True}), (JPEG, {"quality": 95})])
def test_each_format_shows_what_was_saved(opened: Open, kind: str, options: dict[str, Any]) -> None:
    seen = picture(opened(picture_file(kind, **options)))
    assert (seen.width, seen.height) == (120, 80)
    assert seen.pixels.dtype == np.uint8
    error = np.abs(seen.pixels.astype(int) - scene()).mean()
    assert error < (8 if kind == JPEG else 1e-9)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_each_mode_becomes_rgb(opened: Open, mode: str) -> None:
    grey = np.full((20, 30), 100, np.uint8)
    if mode == "I;16":
        raw = picture_file(PNG, (grey.astype(np.uint16) << 8) + 7)
    else:
        raw = picture_file(JPEG if mode == "CMYK" else PNG, np.stack([grey] * 3, axis=2), mode)
    pixels = picture(opened(raw)).pixels
    assert pixels.shape == (20, 30, 3)
    if mode == "1":
        assert set(np.unique(pixels)) <= {0, 255}
    else:
        assert np.abs(pixels.astype(int) - 100).max() <= 3


def test_what_is_transparent_shows_white(opened: Open) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255
    for kind in (PNG, WEBP):
        pixels = picture(opened(picture_file(kind, clear, lossless=True))).pixels
        assert (pixels[:4] == 0).all()
        assert (pixels[4:] == 255).all()


def test_large_pictures_are_scaled_down_and_keep_their_shape(opened: Open) -> None:
    large = scene(3000, 1500)
    for kind in (JPEG, PNG):
        seen = picture(opened(picture_file(kind, large)))
        assert (seen.width, seen.height) == (3000, 1500)
        assert seen.pixels.shape == (256, 512, 3)
        expected = np.asarray(Image.fromarray(large).resize((512, 256), Image.Resampling.BOX)).astype(int)
        assert np.abs(seen.pixels - expected).mean() < 5
    thin = picture(opened(picture_file(PNG, np.zeros((1, 2000, 3), np.uint8))))
    assert thin.pixels.shape == (1, 512, 3)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photograph_stands_upright(opened: Open, turn: int) -> None:
    upright = Image.fromarray(np.kron(np.array([[0, 255], [80, 160]], np.uint8), np.ones((16, 24), np.uint8)))
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"} | {
        7: "TRANSVERSE",
        8: "ROTATE_270",
    }
    stored = upright.transpose(getattr(Image.Transpose, undo[turn])) if turn in undo else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    buffer = io.BytesIO()
    stored.save(buffer, format="JPEG", exif=exif, quality=95)
    pixels = picture(opened(buffer.getvalue())).pixels
    assert pixels.shape == (32, 48, 3)
    assert np.abs(pixels[:, :, 0].astype(int) - np.asarray(upright)).max() < 20


def test_of_an_animation_the_first_frame_is_seen(opened: Open) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    for kind in (PNG, WEBP):
        buffer = io.BytesIO()
        frames[0].save(buffer, format=kind, save_all=True, append_images=frames[1:], lossless=True)
        pixels = picture(opened(buffer.getvalue())).pixels
        assert pixels.shape == (16, 16, 3)
        assert (pixels == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", [JPEG, PNG, WEBP])
def test_a_truncated_picture_is_refused(opened: Open, kind: str) -> None:
    raw = picture_file(kind)
    for share in (0.05, 0.5, 0.9):
        reason = refusal(opened(raw[: int(len(raw) * share)]))
        assert "is cut short or damaged" in reason


def test_a_mislabelled_picture_is_taken_for_what_it_is(opened: Open) -> None:
    raw = picture_file(JPEG)
    assert picture(opened(raw)).width == 120
    assert mislabelled("png", raw) == "is labelled png and is jpeg; it was read as what it is"
    assert [mislabelled(label, raw) for label in ("jpg", "JPEG", "image/jpeg", ".jpg", "")] == [None] * 5
    assert mislabelled("jpg", b"hello") is None


def test_a_text_and_an_archive_that_are_called_pictures_are_refused(opened: Open) -> None:
    assert refusal(opened(b"This is a letter, not a picture.")) == (
        "begins with b'This is ', which is none of jpeg, png, webp"
    )
    assert "none of jpeg, png, webp" in refusal(opened(zip_bomb()))
    assert "none of jpeg, png, webp" in refusal(opened(b"<svg xmlns='http://www.w3.org/2000/svg'/>"))


def test_a_compressed_comment_of_a_hundred_megabytes_is_refused(opened: Open) -> None:
    raw = png_with_text_bomb()
    assert len(raw) < 300_000
    assert "damaged" in refusal(opened(raw))


@pytest.mark.slow
def test_a_decompression_bomb_is_refused_by_its_header(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    raw = png_bomb(13_300, 13_300)
    assert 400_000 < len(raw) < 600_000
    with Decoder() as decoder:
        before, after = decoder.decode("image", [raw, picture_file()])
        if decoder.process_id is not None and Path("/proc/self/status").exists():
            status = Path(f"/proc/{decoder.process_id}/status").read_text()
            peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
            record_testsuite_property("worker_peak_mb", peak)
            assert peak < 250
        assert decoder.restarts == 0
    record_testsuite_property("parent_peak_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert isinstance(before, Refused)
    assert before.reason == "has 13300 x 13300 = 176.9 megapixels; at most 16 are decoded"
    assert isinstance(after, Picture)


@pytest.mark.slow
def test_a_picture_beyond_the_memory_limit_is_refused_and_the_next_is_seen() -> None:
    settings = DecodingSettings(max_megapixels=64, memory_mb=256)
    with Decoder(settings) as decoder:
        large, small = decoder.decode("image", [png_bomb(7_900, 7_900), picture_file()])
    assert isinstance(large, Refused)
    assert "memory" in large.reason
    assert isinstance(small, Picture)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JPEG, PNG, WEBP])
def test_mutated_files_are_seen_or_refused(decoder: Decoder, kind: str) -> None:
    random = np.random.default_rng(3)
    raw = picture_file(kind)
    files = [mutated(raw, random) for _ in range(200)]
    results = list(decoder.decode("image", files))
    seen = [one for one in results if isinstance(one, Picture)]
    refused = [one for one in results if isinstance(one, Refused)]
    assert len(seen) + len(refused) == 200
    assert len(refused) > 20
    assert all(one.reason for one in refused)
    for one in seen:
        assert one.pixels.ndim == 3
        assert one.pixels.shape[2] == 3
        assert max(one.pixels.shape) <= 512
