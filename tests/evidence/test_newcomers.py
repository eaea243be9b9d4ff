"""People without a history: weights of their own, which first events teach, and nothing of them for anybody else."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.worlds import DAY, START

from dynmm import Dataset, DatasetInfo
from dynmm.assembly.evidencing import newcomers_of, read_weights, write_weights
from dynmm.errors import ArtefactError
from dynmm.evidence.arriving import learn_newcomers
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.newcomers import Newcomers
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.terms import Terms
from dynmm.evidence.trend import TrendSettings
from dynmm.evidence.weights import Weights
from dynmm.interactions.splits.eventwise import each_event
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.system import Query
from dynmm.types import Events, UserHistory

ITEMS = 40
SETTINGS = EvidenceSettings(trend_days=(1, 7))
#: What is learned from nobody: ten times what the latent knows of popularity.
POPULARITY = Newcomers(10.0, ((1, 0.0), (7, 0.0)), 0)
NEW = Newcomers(0.5, ((1, 2.0), (7, 0.25)), 9)


def _data(rows: list[tuple[str, str, int]]) -> Dataset:
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame({"item_id": [f"i{item:02d}" for item in range(ITEMS)]})
    return Dataset.from_frames(frame, items, info=DatasetInfo("arrivals", time_resolution="second"))


def _arrivals(first: str, days: int = 60) -> Dataset:
    """Six people come every day and take one item each, and two more the day after by chance.

    first: `hits` makes it one of the two items of the week, `classics` one of the first five always.
    """
    draws = generator(0, "arrivals")
    rows = []
    for day in range(days):
        for one in range(6):
            user = f"u{day:02d}{one}"
            hit = (day // 7 * 2 + int(draws.integers(2))) % ITEMS if first == "hits" else int(draws.integers(5))
            own = draws.choice(ITEMS, 2, replace=False)
            rows.append((user, f"i{hit:02d}", START + DAY * day + 1_000 * one))
            rows += [(user, f"i{item:02d}", START + DAY * (day + 1) + 1_000 * one) for item in own.tolist()]
    return _data(rows)


def _terms(data: Dataset) -> Terms:
    return Terms(
        pairs=PairStatistics.of(data),
        items=ItemStatistics.of(data, TrendSettings(days=SETTINGS.trend_days)),
        likeness=(),
        attributes=AttributeTable.of(data.item_table),
        recencies=(0.9,),
        trend_days=SETTINGS.trend_days,
        n_items=data.n_items,
    )


def _score(data: Dataset, newcomers: Newcomers) -> EvidenceScore:
    terms = _terms(data)
    weights = np.linspace(0.1, 1.0, len(terms.columns))
    return EvidenceScore(terms, Weights(terms.columns, weights, 2.0, 0, 1.0, newcomers))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return _arrivals("hits")


def test_their_score_is_people_of_all_time_and_of_the_last_days(data: Dataset) -> None:
    score, moment = _score(data, NEW), START + 30 * DAY
    users, items, times = data.events.users, data.events.items, data.events.timestamps
    assert times is not None
    expected = np.zeros(ITEMS)
    for item in range(ITEMS):
        ever = len(set(users[items == item].tolist()))
        expected[item] = 0.5 * np.log1p(ever)
        for days, weight in NEW.trends:
            lately = (items == item) & (times < moment) & (times >= moment - days * DAY)
            expected[item] += weight * np.log1p(len(set(users[lately].tolist())))
    assert score.scores([Query(UserHistory(), moment)])[0] == pytest.approx(expected, rel=1e-5)


def test_whoever_has_a_history_gets_what_they_got_without_them(data: Dataset) -> None:
    known = [Query(UserHistory(np.asarray([3, 7], np.int32)), START + 30 * DAY)]
    assert np.array_equal(_score(data, NEW).scores(known), _score(data, Newcomers()).scores(known))
    with_them, without = (_score(data, one).parts(known[0], 5) for one in (NEW, Newcomers()))
    assert [astuple(part) for part in with_them] == [astuple(part) for part in without]


def test_parts_sum_to_the_score_and_nobody_changes_what_another_gets(data: Dataset) -> None:
    score = _score(data, NEW)
    new, late = Query(UserHistory(), START + 9 * DAY), Query(UserHistory(), START + 40 * DAY)
    timeless, known = Query(UserHistory()), Query(UserHistory(np.asarray([1], np.int32)), START + 20 * DAY)
    queries = [late, known, new, timeless]
    together = score.scores(queries)
    for row, query in enumerate(queries):
        assert np.array_equal(score.scores([query])[0], together[row])
        for item in (0, 4, 30):
            parts = score.parts(query, item)
            assert sum(part.amount for part in parts) == pytest.approx(float(together[row, item]), abs=1e-4)
    some = np.asarray([4, 30, 2])
    assert np.array_equal(score.on(late, some), together[0, some])
    assert {part.kind for part in score.parts(late, 0)} <= {"taken", "trend"}
    assert {part.kind for part in score.parts(timeless, 0)} == {"taken"}, "without a moment there is no trend"


def test_the_strongest_are_candidates(data: Dataset) -> None:
    score, query = _score(data, NEW), Query(UserHistory(), START + 30 * DAY)
    best = np.argsort(-score.scores([query])[0], kind="stable")[:6]
    assert score.neighbours(query, 6).tolist() == best.tolist()
    assert not len(_score(data, Newcomers()).neighbours(query, 6)), "what adds nothing points nowhere"
    assert len(score.neighbours(query, 10 * ITEMS)) == np.count_nonzero(score.scores([query]))


def test_learned_events_count_at_once_and_new_items_are_nobodys(data: Dataset) -> None:
    score = _score(data, NEW).apart()
    wider = score.with_items([], pl.DataFrame({"item_id": ["new"]}))
    query = Query(UserHistory(), START + 62 * DAY)
    assert wider.scores([query])[0, ITEMS] == 0.0
    user = np.asarray([data.n_users], np.int32)
    wider.learn(Events(user, np.asarray([ITEMS], np.int32), np.asarray([START + 62 * DAY - 1])))
    added = np.log(2) * (0.5 + 2.0 + 0.25)
    assert wider.scores([query])[0, ITEMS] == pytest.approx(added, rel=1e-5)


def test_the_papers_facts_know_no_newcomers(data: Dataset) -> None:
    paper = NeighbourTerms.of(_terms(data), 3)
    score = EvidenceScore(paper, Weights(paper.columns, np.ones(1), 1.0, 0, 1.0, NEW))
    assert not score.scores([Query(UserHistory(), START + 30 * DAY)]).any()


@pytest.mark.parametrize(("first", "better"), [("hits", "trends"), ("classics", "taken")])
def test_what_first_events_follow_is_learned(first: str, better: str) -> None:
    data = _arrivals(first)
    found = newcomers_of(data, SETTINGS, 0)
    assert found.learned_from >= 60
    assert [days for days, _ in found.trends] == [1, 7]
    lately = sum(weight for _, weight in found.trends)
    assert (lately > 2 * found.taken) == (better == "trends")


def _hits(data: Dataset, newcomers: Newcomers) -> float:
    """Share of the first events of the last twelve days that stand among the best three, beside what the fit knew."""
    assert data.events.timestamps is not None
    later = data.events.timestamps >= START + 48 * DAY
    before, asked = data.keep(~later), each_event(data, later, 1_000, first=True)
    static = np.log1p(before.item_counts())
    hits = []
    for case in range(len(asked)):
        moment = asked.query(case).as_of
        assert moment is not None
        counts = ItemStatistics.of(data.keep(data.events.timestamps < moment), TrendSettings(days=(1, 7)))
        scores = static + newcomers.total(counts, ITEMS, moment)
        hits.append((scores >= scores[asked.targets(case)[0]]).sum() <= 3)
    return float(np.mean(hits))


def test_hits_of_the_week_are_found() -> None:
    data = _arrivals("hits")
    assert _hits(data, newcomers_of(data, SETTINGS, 0)) > _hits(data, Newcomers()) + 0.3


def test_first_events_are_those_before_which_there_was_nothing(data: Dataset) -> None:
    assert data.events.timestamps is not None
    later = data.events.timestamps >= START + 48 * DAY
    asked = each_event(data, later, 1_000, first=True)
    assert len(asked) == 6 * 12
    assert not len(asked.history_items)
    assert asked.as_of is not None
    assert (np.diff(asked.as_of) >= 0).all()
    some = each_event(data, later, 10, first=True)
    assert len(some) == 10
    assert some.as_of is not None
    assert some.as_of[-1] == asked.as_of[-1]


def test_nothing_of_a_question_or_behind_it_teaches_the_counts(data: Dataset) -> None:
    """Events behind the last question may be anything: the weights stay the same."""
    times = data.events.timestamps
    assert times is not None
    later = times >= START + 48 * DAY
    asked = each_event(data, later, 1_000, first=True)
    before = data.keep(~later)

    def learned(until: int) -> Newcomers:
        counts = ItemStatistics.of(before, TrendSettings(days=SETTINGS.trend_days))
        assert asked.as_of is not None
        return learn_newcomers(counts, ITEMS, asked.take(np.flatnonzero(asked.as_of <= until)), SETTINGS, 0)

    cut = START + 55 * DAY
    fewer = data.keep(times <= cut)
    assert fewer.events.timestamps is not None
    mask = fewer.events.timestamps >= START + 48 * DAY
    counts = ItemStatistics.of(fewer.keep(~mask), TrendSettings(days=SETTINGS.trend_days))
    again = learn_newcomers(counts, ITEMS, each_event(fewer, mask, 1_000, first=True), SETTINGS, 0)
    assert again == learned(cut)


def test_without_first_events_or_times_it_is_popularity_as_it_is_now() -> None:
    nobody_new = _data(
        [(f"u{user}", f"i{(user + day) % ITEMS:02d}", START + DAY * day) for user in range(9) for day in range(20)]
    )
    assert newcomers_of(nobody_new, SETTINGS, 0) == POPULARITY
    at_once = _data([(f"u{user}", f"i{user:02d}", START) for user in range(9)])
    assert newcomers_of(at_once, SETTINGS, 0) == POPULARITY
    rows = [(f"u{user}", f"i{(user + place) % ITEMS:02d}") for user in range(30) for place in range(9)]
    timeless = Dataset.from_frames(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row"))
    assert newcomers_of(timeless, SETTINGS, 0) == POPULARITY


def test_a_few_first_events_move_little() -> None:
    """One person who takes the hit of the day is no trend yet."""
    many = newcomers_of(_arrivals("hits"), SETTINGS, 0)
    assert many.taken < 1.0
    data = _arrivals("hits")
    times = data.events.timestamps
    assert times is not None
    later = times >= START + 48 * DAY
    counts = ItemStatistics.of(data.keep(~later), TrendSettings(days=SETTINGS.trend_days))
    one = learn_newcomers(counts, ITEMS, each_event(data, later, 1_000, first=True).take(np.asarray([5])), SETTINGS, 0)
    assert one.learned_from == 1
    assert sum(weight for _, weight in one.trends) < 0.5 * sum(weight for _, weight in many.trends)
    assert one.taken > 5.0


def test_they_are_kept_and_damage_is_named(tmp_path: Path, data: Dataset) -> None:
    weights = _score(data, NEW).weights
    write_weights(weights, tmp_path)
    assert read_weights(tmp_path).newcomers == NEW
    card = json.loads((tmp_path / "weights.json").read_text(encoding="utf-8"))
    for broken in ({"taken": -1.0}, {"trends": [[1, None]]}, {"trends": [[1, float("inf")]]}, {"learned_from": None}):
        write_json(tmp_path / "weights.json", {**card, "newcomers": {**card["newcomers"], **broken}})
        with pytest.raises(ArtefactError, match="cannot be read"):
            read_weights(tmp_path)
    del card["newcomers"]
    write_json(tmp_path / "weights.json", card)
    assert read_weights(tmp_path).newcomers == Newcomers(), "an earlier run knew no such weights"
