"""The catalogue of a data set and of items that came later, and what is reported of their media."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.catalogue.files import data_set, picture_file

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import Picture, Sound
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.features import Features, LeftOut
from dynmm.catalogue.quality import quality
from dynmm.catalogue.report import MediaReport, lines_of
from dynmm.errors import DataError
from dynmm.interactions.dataset import Dataset

ITEMS = pl.DataFrame({"item_id": ["b", "a"], "title": ["Second", "First"], "brand": [None, "Ash"]})
MEDIA = pl.DataFrame(
    {"item_id": ["a", "z"], "modality": ["image", "image"], "format": ["png", "png"], "bytes": [b"1", b"2"]}
)


def test_a_data_set_without_anything_has_a_catalogue() -> None:
    catalogue = Catalogue.of(data_set(["a", "b"]))
    assert (catalogue.n_items, catalogue.ids, catalogue.texts) == (2, ("a", "b"), (None, None))
    assert catalogue.media is None
    assert catalogue.features_folder is None


def test_texts_and_features_stand_in_dense_order(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["u"], "item_id": ["c"]}).write_parquet(tmp_path / "interactions.parquet")
    ITEMS.write_parquet(tmp_path / "items.parquet")
    (tmp_path / "features").mkdir()
    catalogue = Catalogue.of(Dataset.load(tmp_path))
    assert catalogue.ids == ("a", "b", "c")
    assert catalogue.texts == ("First. Ash", "Second", None)
    assert catalogue.features_folder == tmp_path / "features"


def test_items_that_come_later_keep_the_order_of_their_rows(tmp_path: Path) -> None:
    catalogue = Catalogue.from_frames(ITEMS, MEDIA, tmp_path)
    assert catalogue.ids == ("b", "a")
    assert catalogue.texts == ("Second", "First. Ash")
    assert catalogue.features_folder == tmp_path
    assert catalogue.media is not None
    assert [(entry.item, entry.id) for entry in catalogue.media.entries("image")] == [(1, "a")]
    assert catalogue.media.strangers == {"image": 1}
    assert Catalogue.from_frames([{"item_id": 7, "title": "Seven"}]).ids == ("7",)


def test_later_items_pass_the_same_door() -> None:
    with pytest.raises(DataError, match="stands in an earlier row too"):
        Catalogue.from_frames({"item_id": ["a", "a"]})
    with pytest.raises(DataError, match="is no id"):
        Catalogue.from_frames({"item_id": ["a", ""]})
    with pytest.raises(DataError, match="'item_id' is missing"):
        Catalogue.from_frames({"title": ["a"]})
    with pytest.raises(DataError, match="'bytes' is missing"):
        Catalogue.from_frames(ITEMS, MEDIA.drop("bytes"))


def test_the_fingerprint_changes_with_what_it_stands_for() -> None:
    def print_of(items: pl.DataFrame, media: pl.DataFrame | None) -> str:
        return Catalogue.from_frames(items, media).fingerprint

    base = print_of(ITEMS, MEDIA)
    assert base == print_of(ITEMS, MEDIA)
    longer = MEDIA.with_columns(bytes=pl.lit(b"longer"))
    others = [
        print_of(ITEMS.reverse(), MEDIA),
        print_of(ITEMS.with_columns(title=pl.lit("x")), MEDIA),
        print_of(ITEMS, longer),
        print_of(ITEMS, MEDIA.with_columns(format=pl.lit("jpeg"))),
        print_of(ITEMS, None),
    ]
    assert len({base, *others}) == 6


def features(left_out: list[LeftOut]) -> Features:
    present = np.array([True, True, False])
    quality = np.array([0.5, 1.0, 0.0], np.float32)
    return Features("image", "any", "v1", np.zeros((3, 2), np.float32), present, quality, left_out=left_out)


def test_the_report_names_each_item_that_lost_something() -> None:
    media = pl.DataFrame(
        {
            "item_id": ["a", "c", "z", "a"],
            "modality": ["image", "image", "image", "video"],
            "format": ["png"] * 4,
            "bytes": [b"1", None, b"2", b"3"],
        }
    )
    catalogue = Catalogue.from_frames({"item_id": ["a", "b", "c"]}, media)
    frame = LeftOut("a", "image", "is cut short or damaged")
    noted = LeftOut("b", "image", "is labelled png and is jpeg; it was read as what it is")
    report = MediaReport.of([replace(features([frame]), notes=[noted])], catalogue)
    (images,) = report.modalities
    assert (images.items, images.without, images.strangers) == (2, 1, 1)
    assert images.quality["median"] == 0.75
    assert images.left_out == (LeftOut("c", "image", "has no bytes"),)
    assert images.lost == (frame,)
    assert images.reasons() == {"is cut short or damaged": 1, "has no bytes": 1}
    losses = [
        "image: c is left out: has no bytes",
        "image: a has it, and lost one of several: is cut short or damaged",
        "image: 1 for items outside the catalogue, such as 'z'; a row names its item, and a file is called after it",
        "media: a row of modality 'video' is not read; pictures are 'image' and sounds 'audio'",
        "no content is known of c",
    ]
    assert report.losses() == losses
    assert report.lines() == [
        "image: 2 items by any, 1 without",
        *losses,
        "image: b is labelled png and is jpeg; it was read as what it is",
    ]
    said = json.loads(json.dumps(report.as_json()))
    assert list(lines_of(said)) == report.lines()
    assert said["modalities"][0]["lost"][0] == {
        "item": "a",
        "modality": "image",
        "reason": "is cut short or damaged",
    }


def test_items_of_which_nothing_was_given_are_named() -> None:
    ids = [f"i{number}" for number in range(9)]
    catalogue = Catalogue.from_frames({"item_id": ids})
    present = np.array([True] + [False] * 8)
    none = np.zeros((9, 1), np.float32)
    report = MediaReport.of([Features("text", "any", "v1", none, present, present.astype(np.float32))], catalogue)
    assert report.modalities[0].absent == tuple(ids[1:]) == report.nothing
    assert report.lines() == [
        "text: 1 items by any, 8 without",
        "text: nothing was given of i1, i2, i3, i4, i5 and 3 more",
        "no content is known of i1, i2, i3, i4, i5 and 3 more",
    ]


def test_where_everything_was_refused_the_report_says_so() -> None:
    media = pl.DataFrame(
        {"item_id": ["a", "z"], "modality": ["image", "audio"], "format": ["png", "wav"], "bytes": [None, b"1"]},
        schema_overrides={"bytes": pl.Binary},
    )
    catalogue = Catalogue.from_frames({"item_id": ["a", "b"]}, media)
    lines = MediaReport.of([], catalogue).lines()
    assert lines == [
        "image: 0 items, 2 without",
        "audio: 0 items, 2 without",
        "image: a is left out: has no bytes",
        "audio: 1 for items outside the catalogue, such as 'z'; a row names its item, and a file is called after it",
    ]
    assert MediaReport.of([], catalogue, unasked=["image", "audio"]).lines() == []
    wanted = MediaReport.of([], catalogue, unasked=["image", "audio"], wanted=["text"]).lines()
    assert wanted == ["text: 0 items, 2 without"]


def test_of_many_lines_some_are_printed() -> None:
    media = pl.DataFrame({"item_id": ["a"] * 7, "modality": ["image"] * 7, "format": ["png"] * 7, "bytes": [None] * 7})
    catalogue = Catalogue.from_frames({"item_id": ["a"]}, media.with_columns(pl.col("bytes").cast(pl.Binary)))
    assert MediaReport.of([], catalogue).lines(5)[-1] == "image: and 2 more, named in model/manifest.json"


def test_a_report_without_a_catalogue_or_any_item() -> None:
    none = Features("audio", "any", "v1", np.zeros((2, 1), np.float32), np.zeros(2, bool), np.zeros(2, np.float32))
    (sounds,) = MediaReport.of([none]).modalities
    assert (sounds.items, sounds.without, sounds.quality, sounds.strangers) == (0, 2, {}, 0)


def test_one_bad_picture_costs_one_item_its_picture() -> None:
    good, bad = picture_file(), picture_file()[:200]
    media = pl.DataFrame(
        {"item_id": ["a", "b", "c"], "modality": ["image"] * 3, "format": ["png"] * 3, "bytes": [good, bad, good]}
    )
    catalogue = Catalogue.of(data_set(["a", "b", "c", "nothing"], media=media))
    assert catalogue.media is not None
    entries = catalogue.media.entries("image")
    with Decoder() as decoder:
        results = list(decoder.decode("image", (raw for _, raw in catalogue.media.read(entries))))
    seen = {entry.id for entry, result in zip(entries, results, strict=True) if isinstance(result, Picture)}
    assert seen == {"a", "c"}


def real(name: str) -> Path:
    folder = os.environ.get("DYNMM_DATA")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"DYNMM_DATA does not name a folder with {name}")
    return Path(folder) / name


@pytest.mark.slow
def test_real_posters_are_seen() -> None:
    catalogue = Catalogue.of(Dataset.load(real("ml-1m")))
    assert catalogue.media is not None
    entries = catalogue.media.entries("image")
    assert len(entries) == 3867
    assert sum(text is not None for text in catalogue.texts) == 3883
    some = entries[::19][:200]
    with Decoder() as decoder:
        seen = list(decoder.decode("image", (raw for _, raw in catalogue.media.read(some))))
    posters = [one for one in seen if isinstance(one, Picture)]
    assert len(posters) == len(some) == 200
    assert np.median([quality(one) for one in posters]) > 0.8


@pytest.mark.slow
def test_real_clips_are_heard() -> None:
    clips = pl.read_parquet(real("librosa-audio") / "clips.parquet")
    assert clips.height == 14
    with Decoder() as decoder:
        results = list(decoder.decode("audio", clips["ogg"].to_list()))
    heard = [one for one in results if isinstance(one, Sound)]
    assert len(heard) >= 5
    assert all(0 < one.seconds <= 60 and quality(one) > 0.2 for one in heard)
    refused = [str(one) for one in results if not isinstance(one, Sound)]
    assert all("at most 60 s" in reason or "at most 8 MB" in reason for reason in refused), refused
