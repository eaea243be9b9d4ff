"""Attribute claims and items that come later: what was told stays true."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.worlds import QUICK, circles

from dynmm import Dataset, DatasetInfo, Rationale, Recommender
from dynmm.assembly import FitOptions

CONFIG = {**QUICK, "rerank": "none", "evidence": {"strengths": [1.0]}, "rationale": {"claims": 8, "sentences": 5}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Brands of three items, and two makers whose share of the catalogue lies just above what is a reason."""
    interactions, items = circles()
    brands = [f"brand {(n + 1) // 3}" for n in range(30)]
    makers = [f"maker {n // 7}" if n < 14 else None for n in range(30)]
    items = items.with_columns(pl.Series("brand", brands), pl.Series("maker", makers))
    data = Dataset.from_frames(interactions, items, info=DatasetInfo("circles", "film", "watched", "second"))
    folder = tmp_path_factory.mktemp("run") / "run"
    options = FitOptions(cache=tmp_path_factory.mktemp("cache"))
    Recommender.fit(data, CONFIG, split="full", seed=1, options=options).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("view", ["operator", "public"])
def test_a_claim_of_a_shared_value_verifies_after_items_were_added(run: Path, view: str, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(shutil.copytree(run, tmp_path / "run"))
    told = [_rationale(recommender, f"u{user}", view) for user in range(0, 60, 3)]
    kinds = {claim.facts["name"] for one in told for claim in one.claims if claim.kind == "attribute"}
    assert kinds == {"brand"}, "a value of too many items is no reason"
    assert all(recommender.verify(one).holds for one in told)
    brands = [{"item_id": f"n{n}", "title": f"New {n}", "brand": f"brand {n}", "maker": "maker 0"} for n in range(12)]
    recommender.add_items(brands)
    for one in told:
        assert not [problem.text for problem in recommender.verify(one).problems]
    assert all(recommender.verify(_rationale(recommender, f"u{user}", view)).holds for user in range(0, 60, 9))


def _rationale(recommender: Recommender, user: str, view: str) -> Rationale:
    best = recommender.recommend(user, 1)[0].item
    return recommender.explain(user, best, view=view).rationale
