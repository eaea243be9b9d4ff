"""Features that are no work of their encoder: of items of the fit, of new ones, and of a run asked what it loses."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.assembly.made import BRIEF
from tests.catalogue.files import picture_file
from tests.catalogue.test_familiarity import WIDTH, encoded
from tests.worlds import write_circles

from dynmm import Recommender
from dynmm.assembly import FitOptions, known_features, with_features
from dynmm.assembly.whole import whole_of
from dynmm.catalogue.corruption import corrupt
from dynmm.catalogue.features import Features
from dynmm.errors import DataError
from dynmm.system import Query
from dynmm.types import UserHistory

ITEMS = 300
#: Of the fit, whose vectors are damaged.
DAMAGED = ("i20", "i21")


def _write(folder: Path, ids: list[str], vectors: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    column = pl.Series(vectors.astype(np.float32).tolist(), dtype=pl.Array(pl.Float32, WIDTH))
    pl.DataFrame({"item_id": ids, "vector": column}).write_parquet(folder / "image-made.parquet")
    return folder


def _noise(rows: int, like: np.ndarray, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    found: np.ndarray = like.mean(0) + like.std(0) * draw.standard_normal((rows, WIDTH))
    return found


@pytest.fixture(scope="module")
def saved(options: FitOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, run = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("strange") / "run"
    write_circles(str(data), users=400, items=ITEMS)
    vectors = encoded(ITEMS + 2, directions=12).vectors[2:].copy()
    vectors[[20, 21]] = _noise(2, vectors, seed=5)
    _write(data / "features", [f"i{item}" for item in range(ITEMS)], vectors)
    config = {
        **BRIEF,
        "encoders": {"text": "off", "image": "precomputed", "audio": "off"},
        "evidence": {"variant": "off"},
    }
    Recommender.fit(data, config, split="full", seed=3, options=options).save_pretrained(run)
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Recommender:
    return Recommender.from_pretrained(shutil.copytree(saved, tmp_path / "own"))


def test_of_the_fits_items_they_are_left_out_by_name(run: Recommender) -> None:
    (image,) = known_features(run)
    without = {run.items.decode(item) for item in np.flatnonzero(~image.present).tolist()}
    assert without == set(DAMAGED)
    (told,) = run.facts["content"]["modalities"]
    assert [line["item"] for line in told["left_out"]] == list(DAMAGED)
    assert "unlike those of the other items" in told["left_out"][0]["reason"]
    assert run.recommend("u3", 5)


def test_of_new_items_they_are_left_out_by_name_and_a_reader_of_the_log_sees_the_same(
    run: Recommender, tmp_path: Path
) -> None:
    sound = encoded(ITEMS + 2, directions=12).vectors[2:]
    vectors = np.concatenate([encoded(5, seed=9, directions=12).vectors[2:], _noise(3, sound, seed=6)])
    new = [f"n{item}" for item in range(6)]
    report = run.add_items(pl.DataFrame({"item_id": new}), features=_write(tmp_path / "new", new, vectors))
    (told,) = report.modalities
    assert told.items == 3
    assert {line.item for line in told.left_out} == {"n3", "n4", "n5"}
    assert report.nothing == ("n3", "n4", "n5")
    joint = whole_of(run).joint
    assert joint is not None
    assert joint.features[0].present[ITEMS:].tolist() == [True] * 3 + [False] * 3
    run.close()
    again = whole_of(Recommender.from_pretrained(tmp_path / "own")).joint
    assert again is not None
    assert torch.equal(again.item_vectors, joint.item_vectors)


def test_new_items_of_which_nothing_else_is_known_are_refused(run: Recommender, tmp_path: Path) -> None:
    sound = encoded(ITEMS + 2, directions=12).vectors[2:]
    folder = _write(tmp_path / "new", ["n0"], _noise(1, sound, seed=6))
    with pytest.raises(DataError, match="nothing that this run reads is known"):
        run.add_items(pl.DataFrame({"item_id": ["n0"]}), features=folder)


def test_a_picture_is_told_where_the_fit_had_vectors(run: Recommender, tmp_path: Path) -> None:
    sound = encoded(ITEMS + 2, directions=12).vectors[2:4]
    picture = {"item_id": "n1", "modality": "image", "format": "png", "bytes": picture_file()}
    folder = _write(tmp_path / "new", ["n0"], sound[:1])
    report = run.add_items([{"item_id": "n0"}, {"item_id": "n1"}], [picture], features=folder)
    assert report.lines() == [
        "image: 1 items by precomputed:made, 1 without",
        "image: nothing was given of n1",
        "image: 1 given and not read: this run reads what it was fitted on, which is image by precomputed:made",
        "no content is known of n1",
    ]


def test_noise_in_place_of_pictures_is_no_picture(run: Recommender) -> None:
    features = list(known_features(run))
    joint = whole_of(run).joint
    assert joint is not None
    (kept,) = joint.credible(corrupt(features, "image", "noise"))
    # A few in a hundred look like what an encoder gives; they are seen as they are.
    assert 0 < kept.present.sum() < 0.06 * ITEMS
    queries = [Query(UserHistory(np.arange(start, start + 6))) for start in range(0, 60, 7)]

    def scores(changed: Sequence[Features]) -> bytes:
        return with_features(run, changed).rank(queries, 50).scores.tobytes()

    assert scores(corrupt(features, "image", "noise")) == scores([kept])
    # What the fit was given stays as it is.
    assert scores(features) == whole_of(run).rank(queries, 50).scores.tobytes()
