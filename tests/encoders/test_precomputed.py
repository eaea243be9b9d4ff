"""Vectors from a file: what does not fit is left out by name, and costs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.encoders.made import real_folder

from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import LeftOut
from dynmm.encoders.precomputed import feature_files, feature_strays, read_precomputed, unread_files
from dynmm.errors import ConfigError, DataError, UnsupportedByData
from dynmm.fusion.content import Standardiser
from dynmm.interactions.dataset import Dataset

IDS = ("a", "b", "c", "d", "e", "f", "g")


def _write(folder: Path, rows: list[tuple[Any, Any]], name: str = "image-made", kind: Any = None) -> Path:
    path = folder / f"{name}.parquet"
    vectors = [None if row is None else [None if one is None else float(one) for one in row] for _, row in rows]
    columns = {
        "item_id": pl.Series([item for item, _ in rows], dtype=None if rows else pl.String),
        "vector": pl.Series(vectors, dtype=pl.List(pl.Float64)).cast(kind or pl.List(pl.Float32)),
    }
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_rows_stand_in_the_order_of_the_items(tmp_path: Path) -> None:
    _write(tmp_path, [("c", [3, 4]), ("a", [1, 2])], kind=pl.Array(pl.Float32, 2))
    features = read_precomputed(tmp_path, "image", IDS[:3])
    assert features.encoder == "precomputed:made"
    assert features.vectors.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert features.vectors.dtype == features.quality.dtype == np.float32
    assert features.present.tolist() == [True, False, True]
    assert features.quality.tolist() == [1, 0, 1]
    assert list(features.left_out) == []


def test_bad_rows_are_left_out_by_name(tmp_path: Path) -> None:
    nan, infinite = float("nan"), float("inf")
    rows = [
        ("a", [1, 2]),
        ("b", [nan, 2]),
        ("c", [1, infinite]),
        ("d", [1, 2, 3]),
        ("e", None),
        ("f", [0, 0]),
        ("g", [5, None]),
        ("a", [9, 9]),
        ("a", [8, 8]),
        ("stranger", [1, 2]),
        ("other", [1, 2]),
        (None, [1, 2]),
    ]
    _write(tmp_path, rows)
    features = read_precomputed(tmp_path, "image", IDS)
    assert features.present.tolist() == [True, *[False] * 6]
    assert features.vectors.tolist() == [[1, 2], *[[0, 0]] * 6]
    assert set(features.left_out) == {
        LeftOut(
            "stranger", "image", "has a vector in image-made.parquet but is not in the catalogue, as 3 rows in all"
        ),
        LeftOut("b", "image", "has NaN or infinite numbers in image-made.parquet"),
        LeftOut("c", "image", "has NaN or infinite numbers in image-made.parquet"),
        LeftOut("d", "image", "has 3 numbers in image-made.parquet, where others have 2"),
        LeftOut("e", "image", "has no vector in image-made.parquet"),
        LeftOut("f", "image", "has only zeros in image-made.parquet"),
        LeftOut("g", "image", "has NaN or infinite numbers in image-made.parquet"),
    }
    assert list(features.notes) == [LeftOut("a", "image", "stands 3 times in image-made.parquet; the first row counts")]


def test_a_vector_out_of_all_proportion_does_not_flatten_the_others(tmp_path: Path) -> None:
    rows = [(item, [1.0 + place, 2.0]) for place, item in enumerate(IDS)]
    rows[2] = (IDS[2], [1e30, 0.0])
    _write(tmp_path, rows)
    features = read_precomputed(tmp_path, "image", IDS)
    assert features.present.tolist() == [place != 2 for place in range(len(IDS))]
    told = LeftOut(IDS[2], "image", "is over 1,000 times as long as most in image-made.parquet")
    assert list(features.left_out) == [told]
    apart = Standardiser.of(features)(features)
    assert float((apart[0] - apart[1]).norm()) > 0.1


def test_files_that_are_no_features_are_told(tmp_path: Path) -> None:
    _write(tmp_path, [("a", [1, 2])], "vision-made")
    _write(tmp_path, [("a", [1, 2])], "Image-made")
    (tmp_path / "image-made.npy").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    assert feature_strays(tmp_path) == [
        "features/Image-made.parquet is not read: feature files are called text-NAME.parquet, image-NAME.parquet, "
        "audio-NAME.parquet",
        "features/image-made.npy is not read: feature files are parquet tables",
    ]
    assert feature_strays(tmp_path / "nowhere") == feature_strays(None) == []


def test_empty_lists_have_no_say_in_the_width(tmp_path: Path) -> None:
    _write(tmp_path, [("a", [1, 2, 3]), *((item, []) for item in IDS[1:])])
    features = read_precomputed(tmp_path, "image", IDS)
    assert features.vectors[0].tolist() == [1, 2, 3]
    assert features.present.tolist() == [True, *[False] * 6]
    assert {line.reason for line in features.left_out} == {"has no vector in image-made.parquet"}


@pytest.mark.parametrize("rows", [[("stranger", [1, 2])], [("a", []), ("b", None)], []])
def test_a_file_without_these_items_may_leave_them_without(tmp_path: Path, rows: list[tuple[Any, Any]]) -> None:
    _write(tmp_path, rows)
    features = read_precomputed(tmp_path, "image", IDS, may_lack=True)
    assert features.vectors.shape == (len(IDS), 0)
    assert not features.present.any()
    assert [line.item for line in features.left_out] == [item for item, _ in rows]
    with pytest.raises(DataError, match="no item of the catalogue has a vector there"):
        read_precomputed(tmp_path, "image", IDS)


def test_numbers_too_large_for_half_the_bytes_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, [("a", [1e300, 1]), ("b", [1e30, 1])], kind=pl.List(pl.Float64))
    features = read_precomputed(tmp_path, "image", IDS)
    assert np.flatnonzero(features.present).tolist() == [1]


@pytest.mark.parametrize("kind", [pl.List(pl.Float64), pl.List(pl.Int32), pl.Array(pl.Float64, 2)])
def test_any_list_of_numbers_is_read(tmp_path: Path, kind: Any) -> None:
    _write(tmp_path, [("b", [3, 4])], kind=kind)
    assert read_precomputed(tmp_path, "image", IDS).vectors[1].tolist() == [3, 4]


def test_whole_numbers_are_ids_too(tmp_path: Path) -> None:
    _write(tmp_path, [(7, [3, 4])])
    assert read_precomputed(tmp_path, "image", ("5", "7")).present.tolist() == [False, True]


def test_one_file_of_several_is_read_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, value in (("vision-zeta", 1), ("visual-alpha", 2), ("image-beta", 3), ("audio-alpha", 4)):
        _write(tmp_path, [("a", [value])], name)
    assert list(feature_files(tmp_path, "image")) == ["alpha", "beta", "zeta"]
    assert list(feature_files(tmp_path, "audio")) == ["alpha"]
    assert feature_files(tmp_path, "text") == {}
    features = read_precomputed(tmp_path, "image", IDS)
    assert features.encoder == "precomputed:alpha"
    assert features.vectors[0, 0] == 2
    assert "visual-alpha.parquet is read; encoders.image=precomputed:NAME takes another: beta, zeta" in caplog.text
    assert read_precomputed(tmp_path, "image", IDS, "zeta").vectors[0, 0] == 1
    with pytest.raises(ConfigError, match="no image features 'gamma'; there are: alpha, beta, zeta"):
        read_precomputed(tmp_path, "image", IDS, "gamma")


def test_files_that_no_modality_took_are_known(tmp_path: Path) -> None:
    for name in ("text-lm", "image-posters", "vision-b", "audio-x", "other-y"):
        _write(tmp_path, [("a", [1, 2])], name)
    taken: dict[Modality, str] = {"text": "minilm", "image": "precomputed:posters"}
    unread = [("text", "lm", "text-lm"), ("image", "b", "vision-b"), ("audio", "x", "audio-x")]
    found = [(modality, name, path.stem) for modality, name, path in unread_files(tmp_path, taken)]
    assert found == unread
    assert unread_files(tmp_path / "nowhere", taken) == unread_files(None, taken) == []


@pytest.mark.parametrize("name", [None, "made"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, name: str | None) -> None:
    _write(tmp_path, [("a", [1, 2])], "image-made")
    _write(tmp_path, [("a", [1, 2])], "vision-made")
    _write(tmp_path, [("a", [5])], "vision-zeta")
    with pytest.raises(ConfigError, match=r"image-made.parquet and vision-made.parquet are both .* 'made'; rename"):
        read_precomputed(tmp_path, "image", IDS, name)
    assert read_precomputed(tmp_path, "image", IDS, "zeta").vectors[0, 0] == 5


def test_identities_differ_by_name_and_width_alone(tmp_path: Path) -> None:
    """So that new items may come in a file of their own, with vectors from the same encoder."""
    for folder, width in (("one", 2), ("two", 2), ("three", 3)):
        (tmp_path / folder).mkdir()
        _write(tmp_path / folder, [(folder, [1.0] * width)])
    one, two, three = (read_precomputed(tmp_path / name, "image", (name,)) for name in ("one", "two", "three"))
    assert one.identity == two.identity != three.identity


@pytest.mark.parametrize("folder", [None, "there is none", "empty"])
def test_without_a_file_the_mend_is_told(tmp_path: Path, folder: str | None) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedByData, match=r"no features/audio-NAME\.parquet; .* auto or off"):
        read_precomputed(None if folder is None else tmp_path / folder, "audio", IDS)


def test_files_that_are_no_tables_of_vectors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "image-made.parquet"

    def refused(complaint: str) -> None:
        with pytest.raises(DataError, match=f"image-made.parquet.*{complaint}"):
            read_precomputed(tmp_path, "image", IDS)

    path.write_bytes(b"this is text")
    refused("not a readable parquet file")
    path.write_bytes(b"")
    refused("empty")
    pl.DataFrame({"item_id": ["a"]}).write_parquet(path)
    refused("no column 'vector'")
    pl.DataFrame({"vector": [[1.0]]}).write_parquet(path)
    refused("no column 'item_id'")
    pl.DataFrame({"item_id": ["a"], "vector": ["words"]}).write_parquet(path)
    refused("expected a list of numbers in each row, found String")
    pl.DataFrame({"item_id": ["a"], "vector": [["words"]]}).write_parquet(path)
    refused("expected a list of numbers")
    pl.DataFrame({"item_id": [1.5], "vector": [[1.0]]}).write_parquet(path)
    refused("ids are text, not Float64")
    pl.DataFrame({"item_id": ["stranger"], "vector": [[1.0]]}).write_parquet(path)
    refused("no item of the catalogue has a vector")
    pl.DataFrame({"item_id": ["a"], "vector": [[]]}, schema_overrides={"vector": pl.List(pl.Float32)}).write_parquet(
        path
    )
    refused("no item of the catalogue has a vector")


@pytest.mark.parametrize(("modality", "width"), [("image", 128), ("audio", 128)])
def test_real_features(modality: Any, width: int) -> None:
    folder = real_folder("tiktok-mm")
    dataset = Dataset.load(folder)
    features = read_precomputed(folder / "features", modality, dataset.items.ids)
    assert features.vectors.shape == (dataset.n_items, width)
    assert features.present.all()
    table = pl.read_parquet(next(iter(feature_files(folder / "features", modality).values())))
    item = dataset.items.ids[17]
    assert features.vectors[17].tolist() == table.filter(pl.col("item_id") == item)["vector"].item().to_list()
