"""The quantised index in a run: ranked, saved, loaded, extended; exact search where nothing else is asked for."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.assembly.made import BRIEF, write_vectors
from tests.worlds import DAY, START

from dynmm import Recommender
from dynmm.assembly import FitOptions, searching
from dynmm.assembly.asking import Asked
from dynmm.assembly.searching import rank_within
from dynmm.assembly.whole import whole_of
from dynmm.errors import ConfigError, TamperedArtefact
from dynmm.measurement import evaluate
from dynmm.retrieval.exact import ExactIndex
from dynmm.system import Query, Rankings
from dynmm.testing import state_hash
from dynmm.types import UserHistory

pytest.importorskip("faiss", reason="the quantised index needs faiss")

USERS = [f"u{user}" for user in range(0, 60, 7)]
CODED = {**BRIEF, "retrieval": {"index": "pq", "bytes_per_item": 8, "measured_queries": 10}}


@pytest.fixture(scope="module")
def exact(world: Path, options: FitOptions) -> Recommender:
    return Recommender.fit(world, BRIEF, split="full", seed=3, options=options)


@pytest.fixture(scope="module")
def coded(world: Path, options: FitOptions) -> Recommender:
    return Recommender.fit(world, CODED, split="full", seed=3, options=options)


@pytest.fixture
def run(coded: Recommender, tmp_path: Path) -> Path:
    coded.save_pretrained(tmp_path / "run")
    return tmp_path / "run"


def _scores(recommender: Recommender, user: str) -> dict[str, float]:
    return {one.item: one.score for one in recommender.recommend(user, 30)}


def test_small_catalogues_are_searched_exactly(exact: Recommender) -> None:
    assert whole_of(exact).search is None
    assert exact.facts["index"] == {"kind": "exact"}


def test_codes_rank_as_exact_search_does_to_half_precision(exact: Recommender, coded: Recommender) -> None:
    """The shortlist holds the whole of so small a catalogue, and it is re-ranked from halves."""
    for user in USERS:
        ours, theirs = _scores(coded, user), _scores(exact, user)
        assert ours.keys() == theirs.keys()
        assert all(abs(ours[item] - score) < 0.02 for item, score in theirs.items())
        assert not ours.keys() & set(coded.history(user))
    some = ["i3", "i9", "i21"]
    assert [one.item for one in coded.rank("u1", some)] == [one.item for one in exact.rank("u1", some)]


class _Latent:
    """A search that finds the first items alone, over vectors that set none above another."""

    width, item_vectors = 4, torch.zeros(30, 4)

    def user_vectors(self, histories: Sequence[UserHistory]) -> torch.Tensor:
        return torch.zeros(len(histories), 4)

    def rank(self, _: object, queries: Sequence[Query], k: int) -> Rankings:
        return Rankings(
            np.tile(np.arange(k, dtype=np.int32), (len(queries), 1)), np.zeros((len(queries), k), np.float32)
        )


class _Facts:
    """Facts that point to the items of the end."""

    def neighbours(self, _: Query, k: int) -> np.ndarray:
        return np.arange(29, 29 - k, -1)

    def on(self, _: Query, items: np.ndarray) -> np.ndarray:
        return items.astype(np.float64)


def test_facts_bring_candidates_that_the_index_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_SHORTLIST", 3)
    latent, query = _Latent(), Query(UserHistory(np.asarray([5], np.int32)), exclude=np.asarray([28], np.int32))
    found = searching.rank_gathered(latent, latent, _Facts(), [query], 4)  # type: ignore[arg-type]
    assert found.items.tolist() == [[29, 27, 3, 2]]


def test_the_manifest_tells_of_the_index(coded: Recommender, run: Path) -> None:
    facts = json.loads((run / "model" / "manifest.json").read_text())["index"]
    assert facts == coded.facts["index"]
    assert (facts["kind"], facts["items"], facts["width"]) == ("pq", 30, 16)
    assert facts["bytes_per_item"] <= 8
    assert any("recall" in name for name in facts)


def test_ranking_changes_nothing(coded: Recommender) -> None:
    before = state_hash(coded)
    first = coded.recommend_many(USERS, 7)
    assert state_hash(coded) == before
    assert coded.recommend_many(USERS[::-1], 7).by_user == first.by_user
    assert coded.recommend(USERS[3], 7) == first.by_user[USERS[3]]


def test_a_saved_run_searches_as_before_without_the_cache(coded: Recommender, run: Path) -> None:
    loaded = Recommender.from_pretrained(run)
    assert whole_of(loaded).search is not None
    assert loaded.recommend_many(USERS, 30) == coded.recommend_many(USERS, 30)
    assert loaded.similar("i7", 5) == coded.similar("i7", 5)
    assert evaluate(loaded, systems=["popularity"]) == evaluate(coded, systems=["popularity"])


def test_likeness_is_that_of_the_latents(exact: Recommender, coded: Recommender) -> None:
    ours, theirs = coded.similar("i7", 5), exact.similar("i7", 5)
    assert [one.item for one in ours] == [one.item for one in theirs]
    assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-5)


def test_new_items_enter_the_codes_and_survive_saving(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    before = recommender.recommend_many(USERS, 30).by_user
    new = write_vectors(tmp_path / "new", {"n7": 7, "n8": 8, "n20": 20})
    recommender.add_items([{"item_id": "n7"}], features=new)
    recommender.add_items([{"item_id": "n20"}, {"item_id": "lost"}], features=new)
    for user in USERS:
        ranked = recommender.recommend(user, 40)
        assert {"n7", "n20", "lost"} <= {one.item for one in ranked}
        assert [one for one in ranked if one.item.startswith("i")] == before[user]
    recommender.save_pretrained(tmp_path / "later")
    kept = json.loads((tmp_path / "later" / "model" / "index" / "index.json").read_text())
    assert kept["items"] == 30
    loaded = Recommender.from_pretrained(tmp_path / "later")
    assert loaded.recommend_many(USERS, 40) == recommender.recommend_many(USERS, 40)
    assert loaded.similar("n7", 5) == recommender.similar("n7", 5)


def test_the_added_index_goes_with_the_recommender(run: Path, tmp_path: Path) -> None:
    recommender = Recommender.from_pretrained(run)
    recommender.add_items([{"item_id": "n7"}], features=write_vectors(tmp_path / "new", {"n7": 7}))
    search = whole_of(recommender).search
    assert search is not None
    folder = search.folder
    assert folder.is_dir()
    assert search.base == run / "model" / "index"
    del recommender, search
    gc.collect()
    assert not folder.exists()


def test_a_damaged_index_is_refused_by_name(run: Path) -> None:
    path = next((run / "model" / "index").glob("codes*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TamperedArtefact, match=path.name):
        Recommender.from_pretrained(run)


def test_the_index_comes_from_the_cache_and_is_not_the_caches_alone(
    coded: Recommender, world: Path, tmp_path: Path
) -> None:
    """What was saved does not need the cache; what was fitted twice is one index."""
    options = FitOptions(cache=tmp_path / "cache")
    first = Recommender.fit(world, CODED, split="full", seed=3, options=options)
    second = Recommender.fit(world, CODED, split="full", seed=3, options=options)
    assert first.facts["index"] == second.facts["index"]
    assert len(list((tmp_path / "cache" / "stages").glob("index-*"))) == 1
    first.save_pretrained(tmp_path / "run")
    shutil.rmtree(tmp_path / "cache")
    loaded = Recommender.from_pretrained(tmp_path / "run")
    assert loaded.recommend_many(USERS, 9) == coded.recommend_many(USERS, 9)


def test_exact_search_is_of_the_joint_vectors(exact: Recommender) -> None:
    whole = whole_of(exact)
    index = ExactIndex(whole.space.item_vectors.numpy())
    assert index.n_items == 30
    users = whole.space.user_vectors([])
    assert torch.equal(users, torch.empty(0, 16))
    assert np.isfinite(index.search(whole.space.item_vectors[:2].numpy(), 3).scores).all()


def test_items_that_have_moved_are_found_where_they_stand(world: Path, options: FitOptions) -> None:
    """Without facts, too: the index knows items where the fit put them, and the adapter has put some elsewhere."""
    moving = {"guard": False, "step_events": 32, "batch": 64, "learning_rate": 0.03, "steps": 16, "half_life": 500}
    config = {**CODED, "evidence": {"variant": "off"}, "rerank": "none", "adapter": {**moving, "stability": 0.0}}
    recommender = Recommender.fit(world, config, split="full", seed=3, options=options)
    taken = [f"i{item}" for item in (3, 4, 5, 17, 18)]
    recommender.learn(
        {"user_id": f"u{event % 60}", "item_id": taken[event % 5], "timestamp": START + 20 * DAY + event * 60_000}
        for event in range(600)
    )
    whole = whole_of(recommender)
    assert whole.search is not None
    assert whole.space is not whole.frozen_space
    some = np.asarray([recommender.items.encode(item) for item in ("i3", "i9", "i17", "i20")])
    for user in (0, 7, 14):
        history = UserHistory(np.asarray([(user + step) % 30 for step in range(3)], np.int32))
        for query in (Query(history, exclude=some[:1]), Query(history, candidates=some, exclude=some[1:2])):
            ours = rank_within(whole.space, whole.search, None, [query], 30)
            theirs = rank_within(whole.space, None, None, [query], 30)
            assert _by_item(ours) == pytest.approx(_by_item(theirs), abs=0.1)
            assert _by_item(rank_within(whole.space, whole.search, None, [query], 3)).keys() == set(ours.items[0, :3])
            best, exact = (Asked(query, search, None).best(whole.space, 3) for search in (whole.search, None))
            assert best.tolist() == exact.tolist()


def _by_item(found: Rankings) -> dict[int, float]:
    return {
        item: score for item, score in zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True) if item >= 0
    }


def test_an_index_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.index"):
        Recommender.fit("nowhere", {"retrieval": {"index": "magic"}})
