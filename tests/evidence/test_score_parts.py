"""The evidence score: exact parts, the same to the bit in any company, and weights that find what was planted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from tests.worlds import DAY, START

from dynmm import Dataset, DatasetInfo
from dynmm.catalogue.features import Attributes, Features
from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.evidence import weights as weighing
from dynmm.evidence.attributes import WORDS, AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.lately import LatelyCounts
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.terms import Terms
from dynmm.evidence.trend import TrendSettings
from dynmm.evidence.weights import Weights, choose_strength, examples_of, learn_weights
from dynmm.interactions.splits.cut import cut_last
from dynmm.randomness import generator
from dynmm.system import Query
from dynmm.types import IntArray, UserHistory

ITEMS, USERS = 40, 120


def _data(seed: int = 0) -> Dataset:
    """Each user walks the circle of 40 items by steps of 1, now and then by chance."""
    draws = generator(seed, "walks")
    rows = []
    for user in range(USERS):
        item = int(draws.integers(ITEMS))
        for place in range(8):
            rows.append((f"u{user:03d}", f"i{item:02d}", START + DAY * (user + 10 * place)))
            item = (item + 1) % ITEMS if draws.random() < 0.8 else int(draws.integers(ITEMS))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    table = pl.DataFrame(
        {
            "item_id": [f"i{item:02d}" for item in range(ITEMS)],
            "title": [f"word{item // 4} other{item % 3}" for item in range(ITEMS)],
            "brand": [f"brand{item // 10}" if item % 5 else None for item in range(ITEMS)],
        }
    )
    return Dataset.from_frames(frame, table, info=DatasetInfo("walks", time_resolution="second"))


def test_without_an_order_no_history_item_counts_before_another() -> None:
    rows = [(f"u{user}", f"i{(user * 7 + place * 3) % ITEMS:02d}") for user in range(60) for place in range(9)]
    data = Dataset.from_frames(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row"))
    assert not data.has_order
    terms = _terms(data)
    weights = np.linspace(0.1, 1.0, len(terms.columns))
    items = data.history(3).items
    one, other = (Query(UserHistory(order, None)) for order in (items, items[::-1].copy()))
    assert np.allclose(terms.total([one], weights), terms.total([other], weights), rtol=1e-5)
    assert np.allclose(
        terms.total_on(one, np.arange(9), weights), terms.total_on(other, np.arange(9), weights), rtol=1e-5
    )
    told, again = (
        {(part.kind, part.source, part.name): part.amount for part in terms.parts(asked, 5, weights)}
        for asked in (one, other)
    )
    assert told == pytest.approx(again)
    assert told


@pytest.mark.parametrize(
    "wrong",
    [
        {"recencies": [-1.0]},
        {"recencies": [1.5]},
        {"recencies": [0.5, 0.5]},
        {"strengths": []},
        {"strengths": [-1.0]},
        {"strengths": [float("nan")]},
        {"trend_days": [0]},
        {"trend_days": [7, 7]},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ConfigError, match=f"evidence.{next(iter(wrong))}"):
        Config.of({"evidence": wrong})


def _text(n_items: int = ITEMS) -> Features:
    angles = 2 * np.pi * np.arange(n_items) / ITEMS
    vectors = np.stack([np.cos(angles), np.sin(angles), np.cos(2 * angles)], axis=1).astype(np.float32)
    present = np.arange(n_items) % 7 != 3
    values = np.stack([np.linspace(0, 1, n_items), np.linspace(1, 0, n_items)], axis=1).astype(np.float32)
    named = Attributes(("late", "early"), values)
    return Features("text", "drawn", "1", vectors * present[:, None], present, present.astype(np.float32), named)


def _terms(data: Dataset) -> Terms:
    settings = EvidenceSettings()
    return Terms(
        PairStatistics.of(data, settings.pairs),
        ItemStatistics.of(data, TrendSettings(days=settings.trend_days)),
        (Likeness.of(_text()),),
        AttributeTable.of(data.item_table),
        settings.recencies,
        settings.trend_days,
        data.n_items,
    )


def _queries(data: Dataset) -> list[Query]:
    now = int(data.events.timestamps.max())  # type: ignore[union-attr]
    others = [np.empty(0, np.int32), np.asarray([3, 3, 9], np.int32)]
    histories = [*(data.history(user).items for user in (0, 5, 17)), *others]
    return [Query(UserHistory(items), now - place * DAY) for place, items in enumerate(histories)]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return _data()


@pytest.fixture(scope="module")
def terms(data: Dataset) -> Terms:
    return _terms(data)


@pytest.fixture(scope="module")
def weights(terms: Terms) -> np.ndarray:
    return generator(1, "weights").random(len(terms.columns))


def test_the_total_is_the_weighted_sum_of_the_columns(data: Dataset, terms: Terms, weights: np.ndarray) -> None:
    queries = _queries(data)
    expected = sum(w * column for w, column in zip(weights, terms.each(queries), strict=True))
    assert terms.total(queries, weights) == pytest.approx(expected, abs=1e-4)
    assert np.abs(expected).max() > 1


def test_parts_and_candidates_sum_to_the_total(data: Dataset, terms: Terms, weights: np.ndarray) -> None:
    for query in _queries(data):
        total = terms.total([query], weights)[0]
        assert terms.total_on(query, np.arange(ITEMS), weights) == pytest.approx(total, abs=1e-4)
        for item in range(0, ITEMS, 3):
            parts = terms.parts(query, item, weights)
            assert sum(part.amount for part in parts) == pytest.approx(total[item], abs=1e-4)
            had = set(query.history.items.tolist())
            assert all(part.source in had or part.kind == "trend" for part in parts)


def test_nobody_changes_what_another_gets(data: Dataset, terms: Terms, weights: np.ndarray) -> None:
    queries = _queries(data)
    together = terms.total(queries, weights)
    for place, query in enumerate(queries):
        assert np.array_equal(terms.total([query], weights)[0], together[place])
    assert np.array_equal(terms.total(queries[::-1], weights)[::-1], together)
    some, query = np.asarray([4, 9, 30]), queries[0]
    assert np.array_equal(terms.total_on(query, some, weights), terms.total_on(query, np.arange(ITEMS), weights)[some])


def test_nothing_of_the_future_is_in_a_trend(data: Dataset, terms: Terms) -> None:
    only = np.asarray([float(one.fact == "trend") for one in terms.columns])
    first = int(data.events.timestamps.min())  # type: ignore[union-attr]
    assert not terms.total([Query(UserHistory(), first)], only).any()
    assert terms.total([Query(UserHistory(), first + DAY)], only).any()
    assert not terms.total([Query(UserHistory(), None)], only).any()


def test_learning_gives_what_a_rebuild_would(data: Dataset, weights: np.ndarray) -> None:
    whole = data.events
    late = np.zeros(len(whole), bool)
    late[data.in_time_order()[-30:]] = True
    early = _terms(data.keep(~late))
    score = EvidenceScore(early, Weights(early.columns, weights, 1.0, 0, 1.0))
    rows = data.in_time_order()[-30:]
    apart = score.apart()
    for row in rows:
        apart.learn(whole.take(np.asarray([row])))
    queries = _queries(data)
    rebuilt = EvidenceScore(_terms(data), score.weights)
    assert apart.scores(queries) == pytest.approx(rebuilt.scores(queries), abs=1e-5)
    assert not np.array_equal(apart.scores(queries), score.scores(queries)), "the first one stays as it was"


def test_a_new_item_is_known_by_its_content(terms: Terms, data: Dataset, weights: np.ndarray) -> None:
    score = EvidenceScore(terms, Weights(terms.columns, weights, 1.0, 0, 1.0))
    new = pl.DataFrame({"item_id": ["new"], "title": ["word3 fresh"], "brand": ["brand1"]})
    wider = score.with_items([_text(ITEMS + 1)], new)
    query = _queries(data)[0]
    kinds = {part.kind for part in wider.parts(query, ITEMS)}
    assert kinds <= {"alike", "attribute"}
    assert wider.scores([query])[0, :ITEMS] == pytest.approx(score.scores([query])[0], abs=1e-5)


def test_weights_find_what_was_planted(data: Dataset) -> None:
    cut = cut_last(data)
    before = _terms(cut.before)
    noise = torch.from_numpy(generator(2, "latent").standard_normal((ITEMS,)).astype(np.float32))

    def latent(histories: object) -> torch.Tensor:
        return noise.repeat(len(histories), 1)  # type: ignore[arg-type]

    settings = EvidenceSettings(hard=10, drawn=10, batch=64, steps=200)
    found = learn_weights(before, latent, cut.asked, settings, 0)
    assert found is not None
    assert (found.weights >= 0).all()
    assert found.learned_from > 80
    facts = EvidenceScore(before, found).scores([cut.asked.query(case) for case in range(len(cut.asked))])
    targets = cut.asked.target_items
    ranks = (facts >= facts[np.arange(len(facts)), targets][:, None]).sum(1)
    assert np.mean(ranks <= 5) > 0.5, "the next item on the circle stands near the top"
    again = learn_weights(before, latent, cut.asked, settings, 0)
    assert again is not None
    assert np.array_equal(again.weights, found.weights)


def test_examples_stand_in_the_order_of_their_cases_however_many_are_read_at_once(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = cut_last(data)
    # In no order of time, which is the order in which they are read.
    asked, terms = cut.asked.take(generator(4, "order").permutation(len(cut.asked))), _terms(cut.before)
    assert asked.as_of is not None
    assert (np.diff(asked.as_of) < 0).any()
    latent, settings = torch.linspace(0.0, 1.0, ITEMS), EvidenceSettings(hard=5, drawn=6)
    moments: dict[int, list[int]] = {}
    move = LatelyCounts._move

    def moved(self: LatelyCounts, moment: int, n_items: int) -> None:
        moments.setdefault(self._span, []).append(moment)
        move(self, moment, n_items)

    def read() -> weighing.Examples:
        moments.clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(LatelyCounts, "_move", moved)
            found = examples_of(terms, lambda histories: latent.repeat(len(histories), 1), asked, settings, 0)
        assert found is not None
        assert len(moments) == len(terms.trend_days)
        assert all(told == sorted(told) for told in moments.values()), "a window went back"
        return found

    whole = read()
    trend = [one.fact for one in terms.columns].index("trend")
    cases = [case for case in range(len(asked)) if asked.targets(case)[0] not in asked.history(case).items]
    own = [float(terms.trend(int(asked.as_of[case]), 1, asked.targets(case))[0]) for case in cases]
    np.testing.assert_allclose(whole.facts[:, 0, trend] * whole.scales[trend], own, rtol=1e-6)
    assert len(set(own)) > 1
    monkeypatch.setattr(weighing, "_BLOCK_BYTES", 1)
    alone = read()
    for name in ("facts", "latent", "standing", "out", "scales"):
        assert torch.equal(getattr(alone, name), getattr(whole, name)), name


def test_questions_of_one_call_are_read_in_time(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = _terms(data)
    weights, queries = np.ones(len(terms.columns)), _queries(data)
    alone = [terms.total([query], weights)[0] for query in queries]
    moments: list[int | None] = []
    trend = Terms.trend

    def told(self: Terms, as_of: int | None, days: int, items: IntArray | None = None) -> np.ndarray:
        moments.append(as_of)
        return trend(self, as_of, days, items)

    monkeypatch.setattr(Terms, "trend", told)
    np.testing.assert_array_equal(terms.total(queries, weights), alone)
    newest_first = [query.as_of for query in queries]
    assert moments == newest_first[::-1] * len(terms.trend_days)


def test_validation_may_choose_that_evidence_adds_nothing(data: Dataset, terms: Terms, weights: np.ndarray) -> None:
    cut = cut_last(data)
    asked, right = cut.asked, torch.full((len(cut.asked), ITEMS), -5.0)
    right[torch.arange(len(asked)), torch.from_numpy(asked.target_items.astype(np.int64))] = 5.0
    by_length = {tuple(asked.history(case).items.tolist()): case for case in range(len(asked))}

    def knows(histories: object) -> torch.Tensor:
        return right[[by_length[tuple(one.items.tolist())] for one in histories]].clone()  # type: ignore[attr-defined]

    settings = EvidenceSettings(strengths=(0.0, 50.0))
    misleading = np.where([one.fact == "trend" for one in terms.columns], 100.0, 0.0)
    assert choose_strength(terms, knows, misleading, asked, settings, 0) == 0.0


def test_attributes_that_all_or_one_have_connect_nothing() -> None:
    table = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e", "f"],
            "title": ["Red shoe 42", "red hat", "blue hat", "x", None, "red"],
            "brand": ["one", "one", "two", None, "", "three"],
            "maker": ["same"] * 6,
            "categories": [["p", "q"], ["q", "r"], ["p"], ["r"], None, []],
            "price": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    found = AttributeTable.of(table)
    assert set(found.values) == {
        *(("category", value) for value in "pqr"),
        ("brand", "one"),
        (WORDS, "red"),
        (WORDS, "hat"),
    }
    assert found.in_common(2, 3) == []
    shared = {found.values[value]: amount for value, amount in found.in_common(0, 1)}
    assert set(shared) == {("brand", "one"), ("category", "q"), (WORDS, "red")}
    assert all(amount > 0 for amount in shared.values())
    assert shared["brand", "one"] > shared["category", "q"], "of two values each counts less"
    assert found.place("brand", "two") is None


def test_likeness_is_a_cosine_and_absent_is_none() -> None:
    like = Likeness.of(_text())
    lengths = np.linalg.norm(like.vectors, axis=1)
    assert lengths == pytest.approx(_text().present.astype(float), abs=1e-6)
    assert float(like.vectors[0] @ like.vectors[1]) > float(like.vectors[0] @ like.vectors[20])
    assert like.words(ITEMS - 1, ITEMS - 2) == ["late"]
    assert like.words(0, ITEMS - 1) == []


def test_the_papers_neighbours_are_those_of_most_people(data: Dataset) -> None:
    every = _terms(data)
    paper = NeighbourTerms.of(every, 2)
    counts = every.pairs.between(np.arange(ITEMS), np.arange(ITEMS)).users
    np.fill_diagonal(counts, 0)
    query = Query(UserHistory(np.arange(ITEMS, dtype=np.int32)))
    for item in range(0, ITEMS, 5):
        best = np.lexsort((np.arange(ITEMS), -counts[:, item]))[:2]
        assert {part.source for part in paper.parts(query, item, np.ones(1))} == set(best.tolist())
    assert np.array_equal(paper.total([query], np.asarray([3.0]))[0], np.full(ITEMS, 6.0, np.float32))
