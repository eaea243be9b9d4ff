"""Reasons where people take items again: an item is none for itself, and the one who asks is in no count."""

from __future__ import annotations

import polars as pl
import pytest
from tests.worlds import circles

from dynmm import Recommender
from dynmm.assembly import FitOptions, store_of
from dynmm.factids import FactId

CONFIG = {
    "backbone": {"width": 16, "inner": 16, "epochs": 2, "learning_rate": 0.01, "batch_places": 256},
    "fusion": {"variant": "off"},
    "evidence": {"steps": 100, "strengths": [1.0]},
    "adapter": {"variant": "off"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Everyone goes two steps along the circle and one back."""
    folder = tmp_path_factory.mktemp("repeats")
    interactions, items = circles()
    steps = pl.Series("step", [step % 12 for step in range(len(interactions))])
    number = interactions["item_id"].str.slice(1).cast(pl.Int64)
    again = pl.select(pl.when(steps % 3 == 2).then((number - 2) % 30).otherwise(number)).to_series()
    interactions = interactions.with_columns(("i" + again.cast(pl.String)).alias("item_id"))
    interactions.write_parquet(folder / "interactions.parquet")
    items.write_parquet(folder / "items.parquet")
    return Recommender.fit(folder, CONFIG, seed=1, options=FitOptions(cache=tmp_path_factory.mktemp("cache")))


def test_an_item_is_no_reason_for_itself(run: Recommender) -> None:
    own = claims = 0
    for user in ("u3", "u5", "u8"):
        for item in dict.fromkeys(run.history(user)):
            for view in ("operator", "public"):
                found = run.explain(user, item, view=view)
                own += any(item in fact.sources for fact in found.explained.evidence)
                assert not any(item in fact.sources for fact in found.explained.evidence if fact.kind == "union")
                assert not any(
                    item in FactId.parse(one).sources for told in found.rationale.claims for one in told.evidence
                )
                claims += len(found.rationale.claims)
                assert run.verify(found.rationale).holds
    assert own, "facts of an item and itself do count"
    assert claims


def test_who_asks_is_in_neither_count(run: Recommender) -> None:
    """Everyone who took the source near the item, out of everyone who took the source."""
    store, user = store_of(run), "u3"
    source, item = run.history(user)[:2]
    fact = FactId("together", item, (source,))
    mine, theirs = store.fact(fact, store.offset, user), store.fact(fact, store.offset)
    assert mine is not None
    assert theirs is not None
    assert (theirs["users"] - mine["users"], theirs["source_users"] - mine["source_users"]) == (1, 1)
