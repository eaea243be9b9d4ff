"""Faithfulness on a system whose every score can be added up by hand."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.evaluation.explainer import Adding, asked, surroundings, write
from tests.evaluation.fakes import cases

from dynmm.errors import EmptyDataError
from dynmm.evaluation import figures
from dynmm.evaluation.controls import Told, facts_of, items_of
from dynmm.evaluation.curves import RANDOM, STRONGEST
from dynmm.evaluation.explaining import cited_by, recommended, top_cited
from dynmm.evaluation.faithfulness import CITED, Faithfulness, FaithfulnessPlan, measure_faithfulness
from dynmm.evaluation.removals import Removals
from dynmm.evaluation.scores import Resampling
from dynmm.factids import FactId
from dynmm.system import Query
from dynmm.types import Evidence, Explained

#: Items 0 to 4 are taken, and lead to item 5 with 8, 4, 2, 1 and nothing. Item 6 has 10 by itself.
N = 8
WORTH = [8.0, 4.0, 2.0, 1.0, 0.0]
PLAN = FaithfulnessPlan(draws=120, shares=(0.0, 0.25, 0.5, 0.75, 1.0), how=Resampling(200))


def system(worth: list[float] = WORTH) -> Adding:
    pairs = np.zeros((N, N))
    pairs[: len(worth), 5] = worth
    return Adding([0, 0, 0, 0, 0, 1, 10, 0], pairs)


@pytest.fixture(scope="module")
def found() -> Faithfulness:
    adding = system()
    around = surroundings(adding, counts=[1, 2, 3, 40, 50, 6, 7, 8], near=[6, 2])
    return measure_faithfulness(adding, top_cited(2), [asked(range(5), 5)], around, PLAN)


def mean(found: Faithfulness, unit: str, measure: str, whose: str, loss: str = "score") -> float:
    return float(found.columns[unit, measure, whose, loss].mean())


def test_comprehensiveness_is_what_the_score_loses_without_the_cited_facts(found: Faithfulness) -> None:
    assert mean(found, "facts", "comprehensiveness", CITED) == pytest.approx(8 + 4)
    assert mean(found, "facts", "comprehensiveness", "popular") == pytest.approx(0 + 1), "items 4 and 3"
    assert mean(found, "facts", "comprehensiveness", "nearest") == pytest.approx(2), "item 6 is not in the history"
    # Two of the five history items, each as often; and two of the four facts.
    assert mean(found, "facts", "comprehensiveness", "random") == pytest.approx(2 * 15 / 5, rel=0.15)
    assert mean(found, "facts", "comprehensiveness", "random facts") == pytest.approx(2 * 15 / 4, rel=0.15)


def test_sufficiency_is_what_the_score_loses_with_the_cited_facts_alone(found: Faithfulness) -> None:
    assert mean(found, "facts", "sufficiency", CITED) == pytest.approx(2 + 1)
    assert mean(found, "facts", "sufficiency", "popular") == pytest.approx(8 + 4 + 2)
    assert mean(found, "facts", "sufficiency", "nearest") == pytest.approx(8 + 4 + 1)


def test_items_are_removed_as_if_they_had_never_been_taken(found: Faithfulness) -> None:
    assert mean(found, "items", "comprehensiveness", CITED) == pytest.approx(12)
    assert mean(found, "items", "comprehensiveness", "popular") == pytest.approx(1), "items 4 and 3"
    assert mean(found, "items", "comprehensiveness", "nearest") == pytest.approx(2)
    assert mean(found, "items", "sufficiency", CITED) == pytest.approx(3)
    assert ("items", "comprehensiveness", "random facts", "score") not in found.columns


def test_the_rank_counts_places_lost(found: Faithfulness) -> None:
    # 16 is first; without the cited facts 4 is behind item 6, which has 10.
    assert mean(found, "facts", "comprehensiveness", CITED, "rank") == 1
    assert mean(found, "facts", "comprehensiveness", "popular", "rank") == 0
    assert mean(found, "facts", "comprehensiveness", CITED, "left the top") == 0


def test_an_item_that_is_no_candidate_any_more_has_the_worst_rank() -> None:
    class Shortlisting(Adding):
        """Forgets an item of less than 10."""

        def explain_without(self, query: Query, item: int, evidence: object, sources: object) -> Explained:
            left = super().explain_without(query, item, evidence, sources)  # type: ignore[arg-type]
            return left if left.score >= 10 else Explained(**{**vars(left), "rank": 0})

    adding = Shortlisting(system().own.tolist(), system().pairs)
    full = adding.explain(asked(range(5), 5).query, 5)
    removals = Removals(adding, Told.of(asked(range(5), 5), full, [adding.fact(0, 5)]), worst=30)
    assert removals.without_facts([adding.fact(0, 5)]) == (8.0, 29.0, 1.0)


def test_the_same_removal_is_computed_once() -> None:
    adding = system()
    removals = Removals(adding, Told.of(asked(range(5), 5), adding.explain(asked(range(5), 5).query, 5), []), worst=8)
    before = adding.calls
    assert removals.without_items([0]) == removals.without_items([0])
    assert adding.calls == before + 1
    assert removals.without_facts([]) == (0.0, 0.0, 0.0)
    assert adding.calls == before + 1


def test_the_ratio_is_cited_over_control(found: Faithfulness) -> None:
    told = found.to_json()
    assert told["facts"]["ratio"]["popular"]["score"]["ratio"] == pytest.approx(12)
    assert not told["facts"]["ratio"]["random"]["score"]["reached"]
    nearest = told["facts"]["ratio"]["nearest"]["score"]
    assert nearest["ratio"] == pytest.approx(6)
    assert nearest["reached"]
    assert nearest["shown"]


def test_irrelevant_evidence_is_worth_what_random_evidence_is() -> None:
    adding = system([3.0] * 5)
    rng = np.random.default_rng(0)

    def by_lot(_: Query, explained: Explained) -> list[str]:
        return [explained.evidence[int(place)].id for place in rng.permutation(len(explained.evidence))[:2]]

    found = measure_faithfulness(
        adding, by_lot, [asked(range(5), 5, user) for user in range(30)], surroundings(adding), PLAN
    )
    for control in ("random", "random facts"):
        ratio = found.ratio("facts", control)
        assert ratio["ratio"] == pytest.approx(1)
        assert not ratio["reached"]
        assert not ratio["shown"]


def test_facts_cited_by_lot_are_worth_no_more_on_average() -> None:
    adding = system()

    def by_lot(query: Query, explained: Explained) -> list[str]:
        draws = np.random.default_rng(by_lot.calls)  # type: ignore[attr-defined]
        by_lot.calls += 1  # type: ignore[attr-defined]
        return [explained.evidence[int(place)].id for place in draws.permutation(len(explained.evidence))[:1]]

    by_lot.calls = 0  # type: ignore[attr-defined]
    plan = FaithfulnessPlan(draws=20, shares=(0.0, 1.0), how=Resampling(200))
    found = measure_faithfulness(
        adding, by_lot, [asked(range(5), 5, user) for user in range(200)], surroundings(adding), plan
    )
    low, high = found.ratio("facts", "random facts")["ci95"]
    assert low < 1 < high
    assert high < 1.5


def test_a_control_that_loses_nothing_has_no_ratio_but_can_be_beaten() -> None:
    adding = system()
    around = surroundings(adding, near=[6, 7])
    found = measure_faithfulness(adding, top_cited(1), [asked(range(5), 5, user) for user in (3, 4)], around, PLAN)
    told = found.to_json()["facts"]["ratio"]["nearest"]["score"]
    assert told == {"ratio": None, "ci95": [None, None], "reached": True, "shown": True}


def test_the_curves_start_at_nothing_and_end_alike(found: Faithfulness) -> None:
    told = found.to_json()["curves"]
    strongest = [point["mean"] for point in told["orders"][STRONGEST]]
    assert strongest == pytest.approx([0, 8, 12, 14, 15])
    at_random = [point["mean"] for point in told["orders"][RANDOM]]
    assert at_random == pytest.approx([0, 15 / 4, 15 / 2, 45 / 4, 15], abs=0.9)
    assert told["area"]["mean"] == pytest.approx(np.mean(strongest) - np.mean(at_random))


def test_the_figure_is_drawn_the_same_each_time(found: Faithfulness) -> None:
    saved = json.loads(json.dumps(found.to_json(), sort_keys=True))
    image = figures.faithfulness_curves(saved)
    assert ElementTree.fromstring(image).tag.endswith("svg")
    assert image == figures.faithfulness_curves(found.to_json())


def test_an_explanation_is_measured_the_same_beside_any_others() -> None:
    adding = system()
    plan = FaithfulnessPlan(draws=2, how=Resampling(50))
    one, two = asked(range(5), 5, 1), asked(range(3), 5, 2)
    alone = measure_faithfulness(adding, top_cited(1), [two], surroundings(adding), plan)
    beside = measure_faithfulness(adding, top_cited(1), [one, two], surroundings(adding), plan)
    assert {key: column[-1] for key, column in beside.columns.items()} == {
        key: column[0] for key, column in alone.columns.items()
    }


def test_explanations_that_cite_nothing_are_counted_apart() -> None:
    adding = system()
    plan = FaithfulnessPlan(draws=1, how=Resampling(50))
    done: list[float] = []
    found = measure_faithfulness(
        adding, top_cited(1), [asked([4], 5), asked([0], 5)], surroundings(adding), plan, progress=done.append
    )
    assert (found.asked, len(found.users), done) == (2, 1, [0.5, 1.0])
    with pytest.raises(EmptyDataError, match="none of 1 explanations cites"):
        measure_faithfulness(adding, top_cited(1), [asked([4], 5)], surroundings(adding), plan)


def test_a_cited_fact_must_be_part_of_the_explanation() -> None:
    adding = system()
    with pytest.raises(ValueError, match=r"together:i4>i5.* is cited but"):
        measure_faithfulness(
            adding, lambda *_: [adding.fact(4, 5)], [asked(range(5), 5)], surroundings(adding), FaithfulnessPlan(1)
        )


def test_controls_keep_the_kinds_where_there_are_enough_of_them() -> None:
    adding = system()

    def fact(fact: FactId, worth: float) -> Evidence:
        return Evidence(fact.text, fact.kind, "i5", fact.sources, {}, worth)

    facts = [fact(FactId("together", "i5", (f"i{n}",)), 1.0) for n in range(4)]
    facts += [fact(FactId("alike", "i5", (f"i{n}",), "image"), 0.5) for n in range(3)]
    facts.append(fact(FactId("union", "i5", ("i0", "i1")), 0.3))
    facts.append(fact(FactId.trend(7, 0, "i5"), 0.25))
    explained = Explained("i5", 1.0, 1, {}, tuple(facts), 0.0, 0)
    told = Told.of(asked(range(5), 5), explained, ["together:i0>i5", "alike:image:i1>i5", "union:i0,i1>i5"])
    around = surroundings(adding, near=[2, 7])
    for seed in range(20):
        drawn = facts_of("random facts", told, around, np.random.default_rng(seed))
        assert len(drawn) == 3
        by_lot = [FactId.parse(one) for one in facts_of("random", told, around, np.random.default_rng(seed))]
        assert [(one.kind, one.name, len(one.sources)) for one in by_lot] == [
            ("together", "", 1),
            ("alike", "image", 1),
            ("union", "", 2),
        ]
    nearest = facts_of("nearest", told, around, np.random.default_rng(0))
    assert nearest == ["together:i2>i5", "alike:image:i2>i5", "union:i2,i7>i5"]
    # There is but one trend: another fact stands in for it.
    only = Told.of(asked(range(5), 5), explained, [facts[-1].id])
    instead = {facts_of("random facts", only, around, np.random.default_rng(seed))[0] for seed in range(40)}
    assert len(instead) > 3
    with pytest.raises(KeyError):
        facts_of("latest", told, around, np.random.default_rng(0))
    with pytest.raises(KeyError):
        items_of("random facts", told, around, np.random.default_rng(0))


def test_what_is_explained_is_what_is_recommended() -> None:
    adding = system()
    several = cases([[0, 1], [4], [2], [3, 0]], [[5], [5], [5], [5]])
    chosen = recommended(adding, several, users=2, depth=2, seed=1)
    assert [len({one.user for one in chosen}), len(chosen)] == [2, 4]
    everyone = recommended(adding, several, users=10, depth=1)
    assert [(one.user, one.item) for one in everyone] == [(0, 5), (1, 6), (2, 6), (3, 5)]
    assert recommended(adding, several, users=2, depth=2, seed=1)[0].user == chosen[0].user


def test_a_rationale_cites_what_its_claims_cite() -> None:
    adding = system()
    query = asked(range(5), 5).query
    full = adding.explain(query, 5)
    assert cited_by(write)(query, full) == [adding.fact(0, 5), adding.fact(1, 5)]
    assert cited_by(write, view="public", k=10)(query, full) == [adding.fact(0, 5)]
