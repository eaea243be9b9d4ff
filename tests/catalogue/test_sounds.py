"""Sounds: every kind that is taken comes out as mono at 16 kHz; every bad one is refused in plain words."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.catalogue.files import mutated, sound_file, tone

from dynmm.catalogue.content import SAMPLE_RATE, Sound
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.catalogue.quality import sound_quality

Open = Callable[[bytes], Sound | Refused]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.fixture
def opened(decoder: Decoder) -> Open:
    def one(raw: bytes) -> Sound | Refused:
        (result,) = decoder.decode("audio", [raw])
        assert isinstance(result, Sound | Refused)
        return result

    return one


def sound(result: Sound | Refused) -> Sound:
    assert isinstance(result, Sound), result
    return result


def refusal(result: Sound | Refused) -> str:
    assert isinstance(result, Refused)
    return result.reason


def frequency(heard: Sound) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(heard.samples * np.hanning(len(heard.samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(heard.samples))


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("WAV", "PCM_U8")])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_each_format_sounds_as_it_was_saved(opened: Open, kind: str, subtype: str | None, rate: int) -> None:
    heard = sound(opened(sound_file(tone(rate=rate), rate, kind, subtype)))
    assert (heard.rate, heard.channels) == (rate, 1)
    assert heard.samples.dtype == np.float32
    assert heard.seconds == pytest.approx(1.0, abs=0.001)
    assert frequency(heard) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(heard.samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_each_depth_is_read(opened: Open, subtype: str) -> None:
    assert frequency(sound(opened(sound_file(subtype=subtype)))) == pytest.approx(440, abs=2)


def test_the_channels_of_surround_sound_are_averaged(opened: Open) -> None:
    channels = np.zeros((16_000, 6))
    channels[:, 2] = tone(loudness=0.6)
    heard = sound(opened(sound_file(channels)))
    assert heard.channels == 6
    assert np.abs(heard.samples).max() == pytest.approx(0.1, rel=0.02)


def test_silence_and_clipping_are_taken_with_little_quality(opened: Open) -> None:
    good = sound_quality(sound(opened(sound_file(tone(4)))))
    silent = sound_quality(sound(opened(sound_file(np.zeros(64_000)))))
    clipped = sound_quality(sound(opened(sound_file(np.clip(tone(4, loudness=50), -1, 1)))))
    assert silent == 0
    assert clipped < 0.1
    assert good > 0.9


def test_a_sound_without_samples_is_refused(opened: Open) -> None:
    for kind in ("WAV", "FLAC", "OGG"):
        assert refusal(opened(sound_file(np.zeros(0), kind=kind)))
    assert refusal(opened(sound_file(np.zeros(0)))) == "has no samples"
    assert refusal(opened(b"")) == "is empty (0 bytes)"


def test_a_sound_of_more_than_a_minute_is_refused_by_its_header(opened: Open) -> None:
    long = sound_file(np.zeros(8_000 * 3_600, np.int16), 8_000, "FLAC")
    assert len(long) < 8_000_000
    assert refusal(opened(long)) == "says it lasts 3600.0 s; at most 60 s are decoded"
    assert sound(opened(sound_file(np.zeros(8_000 * 60), 8_000))).seconds == 60


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_finite_numbers_are_refused(opened: Open, bad: float) -> None:
    samples = tone()
    samples[5_000] = bad
    assert refusal(opened(sound_file(samples, subtype="FLOAT"))) == "holds samples that are no finite numbers"


def test_samples_beyond_full_scale_are_cut_off(opened: Open) -> None:
    heard = sound(opened(sound_file(tone(loudness=3.0), 44_100, subtype="FLOAT")))
    assert np.abs(heard.samples).max() <= 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_a_truncated_header_is_refused(opened: Open, kind: str) -> None:
    assert "is cut short or damaged" in refusal(opened(sound_file(kind=kind)[:20]))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_sound_cut_short_is_no_shorter_sound(opened: Open, share: float) -> None:
    raw = sound_file()
    assert refusal(opened(raw[: int(len(raw) * share)])).startswith("is cut short (")


def test_a_refusal_is_the_same_from_run_to_run(opened: Open) -> None:
    """Reasons stand in caches and manifests; the address of a buffer in memory does not belong there."""
    reason = refusal(opened(b"RIFF\x10\x00\x00\x00WAVE" + b"x" * 40))
    assert "is cut short or damaged" in reason
    assert "0x" not in reason
    assert "<" not in reason


def test_headers_that_lie_are_found_out(opened: Open) -> None:
    raw = bytearray(sound_file())
    fast = raw.copy()
    fast[24:28] = struct.pack("<I", 2**31 - 1)
    assert "samples a second" in refusal(opened(bytes(fast)))
    longer = raw.copy()
    longer[40:44] = struct.pack("<I", 2**32 - 1)
    result = opened(bytes(longer))
    assert isinstance(result, Refused) or result.seconds <= 1.01


def test_a_text_that_is_called_a_sound_is_refused(opened: Open) -> None:
    assert "which is none of wav, flac, ogg" in refusal(opened(b"ID3 no sound"))


def test_the_longest_sound_is_a_setting() -> None:
    with Decoder(DecodingSettings(max_seconds=0.5)) as decoder:
        (result,) = decoder.decode("audio", [sound_file()])
    assert isinstance(result, Refused)
    assert result.reason == "says it lasts 1.0 s; at most 0.5 s are decoded"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_mutated_files_are_heard_or_refused(decoder: Decoder, kind: str) -> None:
    random = np.random.default_rng(5)
    raw = sound_file(tone(0.3), kind=kind)
    files = [mutated(raw, random) for _ in range(200)]
    results = list(decoder.decode("audio", files))
    heard = [one for one in results if isinstance(one, Sound)]
    refused = [one for one in results if isinstance(one, Refused)]
    assert len(heard) + len(refused) == 200
    assert len(refused) > 20
    assert all(one.reason for one in refused)
    for one in heard:
        assert len(one.samples)
        assert np.abs(one.samples).max() <= 1
