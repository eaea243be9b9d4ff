"""Frozen candidates: never an item of the user's, never another file than the one that was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dynmm.errors import ArtefactError, ProtocolMismatch, TamperedArtefact, UnsupportedByData
from dynmm.interactions.candidates import draw_candidates, load_candidates, split_sha256, write_candidates
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split, SplitConfig, make_split

Make = Callable[..., Dataset]
FULL = SplitConfig(name="full", k_core=0)


@pytest.fixture(scope="module")
def split(random_data: Make) -> Split:
    return make_split(random_data(3, items=60), FULL, 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), negatives=st.integers(1, 12), items=st.sampled_from([25, 60, 400]))
def test_negatives_are_distinct_and_outside_all_of_the_users_events(
    random_data: Make, seed: int, negatives: int, items: int
) -> None:
    split = make_split(random_data(seed, users=12, items=items, events=100), FULL, 0)
    assert split.test is not None
    most = max(len(set(split.source.history(user).items.tolist())) for user in split.test.users.tolist())
    assume(split.source.n_items - most >= negatives)
    candidates = draw_candidates(split, seed, negatives)
    assert candidates.positives.tolist() == split.test.target_items.tolist()
    for case, user in enumerate(split.test.users.tolist()):
        drawn = candidates.negatives[case].tolist()
        assert len(set(drawn)) == negatives
        assert set(drawn) <= set(range(split.source.n_items))
        assert not set(drawn) & set(split.source.history(user).items.tolist())
        assert candidates.of(case, 1).tolist() == sorted([drawn[0], split.test.target_items[case]])


def test_all_free_items_can_be_asked_for_and_not_one_more() -> None:
    rows = [("a", item) for item in "xyz"]
    frame = pl.DataFrame(
        [(u, i, p) for p, (u, i) in enumerate(rows)], schema=["user_id", "item_id", "position"], orient="row"
    )
    data = Dataset.from_frames(frame, pl.DataFrame({"item_id": list("abcdvw")}))
    split = make_split(data, FULL, 0)
    drawn = draw_candidates(split, 0, 6).negatives[0].tolist()
    assert sorted(data.items.decode(item) for item in drawn) == list("abcdvw")
    with pytest.raises(UnsupportedByData, match="user 'a' leaves only 6 of 9"):
        draw_candidates(split, 0, 7)


def test_the_draw_is_uniform_and_follows_its_seed() -> None:
    rows = [(f"u{n}", item, place) for n in range(3_000) for place, item in enumerate("xyz")]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row")
    data = Dataset.from_frames(frame, pl.DataFrame({"item_id": [f"free{n}" for n in range(40)]}))
    split = make_split(data, FULL, 0)
    drawn = draw_candidates(split, 1, 8).negatives
    counts = np.bincount(drawn.ravel(), minlength=data.n_items)[:40]
    spread = np.sqrt(3_000 * 0.2 * 0.8)
    assert np.abs(counts - 600).max() < 5 * spread
    assert np.array_equal(drawn, draw_candidates(split, 1, 8).negatives)
    assert not np.array_equal(drawn, draw_candidates(split, 2, 8).negatives)


def test_a_file_is_read_back_as_it_was_drawn(split: Split, tmp_path: Path) -> None:
    candidates = draw_candidates(split, 5, 19)
    digest = write_candidates(tmp_path / "c", candidates, split)
    loaded = load_candidates(tmp_path / "c", split)
    assert np.array_equal(loaded.negatives, candidates.negatives)
    assert np.array_equal(loaded.positives, candidates.positives)
    record = json.loads((tmp_path / "c" / "candidates.json").read_text())
    assert record["sha256"] == digest
    assert record["split_sha256"] == split_sha256(split)


def test_a_changed_byte_and_a_foreign_split_are_refused(split: Split, random_data: Make, tmp_path: Path) -> None:
    write_candidates(tmp_path / "c", draw_candidates(split, 5, 19), split)
    for other in (
        make_split(random_data(4, items=60), FULL, 0),
        make_split(random_data(3, items=60), SplitConfig(), 0),
    ):
        with pytest.raises(ProtocolMismatch, match="was drawn for another split or other data"):
            load_candidates(tmp_path / "c", other)
    table = tmp_path / "c" / "candidates.parquet"
    changed = bytearray(table.read_bytes())
    changed[len(changed) // 2] ^= 1
    table.write_bytes(bytes(changed))
    with pytest.raises(TamperedArtefact, match=r"candidates\.parquet does not have the bytes"):
        load_candidates(tmp_path / "c", split)
    table.unlink()
    with pytest.raises(ArtefactError, match=r"candidates\.parquet is missing"):
        load_candidates(tmp_path / "c", split)
    (tmp_path / "c" / "candidates.json").write_text('{"seed": 1}')
    with pytest.raises(ArtefactError, match="lacks negatives, sha256, split_sha256"):
        load_candidates(tmp_path / "c", split)
    with pytest.raises(ArtefactError, match="not a readable record"):
        load_candidates(tmp_path / "nowhere", split)


def test_splits_with_other_cases_are_refused(random_data: Make) -> None:
    data = random_data(3, items=60)
    with pytest.raises(UnsupportedByData, match="needs test cases"):
        draw_candidates(make_split(data, SplitConfig(), 0), 0)
    with pytest.raises(UnsupportedByData, match="ranks one target among negatives"):
        draw_candidates(make_split(data, SplitConfig(name="holdout", by="time"), 0), 0)
