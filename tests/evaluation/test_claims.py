"""What rationales say, by view: recomputation, consistency, abstention, the share told, and variety."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.explainer import Adding, asked, write

from dynmm.evaluation.claims import measure_claims
from dynmm.evaluation.scores import Resampling
from dynmm.evaluation.variety import features, variety
from dynmm.factids import FactId
from dynmm.system import Query
from dynmm.types import Claim, Explained, Rationale

HOW = Resampling(100)


def system() -> Adding:
    """Item 0 leads to item 5 with 8, item 1 with 4, items 2 and 3 with 2 each."""
    pairs = np.zeros((8, 8))
    pairs[:4, 5] = [8, 4, 2, 2]
    return Adding([0.0] * 8, pairs)


def to_all(view: str, k: int) -> Adding:
    """The same facts for every view."""
    return system()


def all_hold(rationale: Rationale) -> list[bool]:
    return [True] * len(rationale.claims)


ASKED = [asked([0, 1, 2, 3], 5, 0), asked([1, 2], 5, 1), asked([2], 5, 2), asked([4], 5, 3)]


def test_views_tell_less_the_more_people_must_stand_behind_a_claim() -> None:
    found = measure_claims(to_all, write, all_hold, ASKED, attributes=(), n_items=8, how=HOW).to_json()
    assert list(found["views"]) == ["operator", "public k=5", "public k=20"]
    operator, five, twenty = found["views"].values()
    assert operator["abstention"]["mean"] == 1 / 4, "the user of item 4 has no evidence"
    assert operator["told"]["mean"] == pytest.approx((12 / 16 + 1 + 1 + 0) / 4)
    assert operator["claims"]["mean"] == (2 + 2 + 1 + 0) / 4
    assert five["told"]["mean"] == pytest.approx((12 / 16 + 4 / 6 + 0 + 0) / 4), "above 2.5 alone"
    assert five["abstention"]["mean"] == 2 / 4
    assert (twenty["abstention"]["mean"], twenty["told"]["mean"]) == (1, 0)
    assert operator["kinds"] == {"together": 5}
    assert operator["told"]["ci95"][0] < operator["told"]["mean"] < operator["told"]["ci95"][1]


def test_the_share_that_could_be_told_is_measured_where_it_is_known() -> None:
    def share(explained: Explained, view: str, k: int) -> float:
        return 1.0 if view == "operator" else len(explained.evidence) / k

    found = measure_claims(to_all, write, all_hold, ASKED, attributes=(), n_items=8, tellable=share, how=HOW).to_json()[
        "views"
    ]
    assert found["operator"]["tellable"]["mean"] == 1
    assert found["public k=20"]["tellable"]["mean"] == pytest.approx((4 + 2 + 1 + 0) / 4 / 20)
    without = measure_claims(to_all, write, all_hold, ASKED, attributes=(), n_items=8, how=HOW).to_json()
    assert "tellable" not in without["views"]["operator"]


def test_claims_that_do_not_recompute_are_counted() -> None:
    def first_alone(rationale: Rationale) -> list[bool]:
        return [place == 0 for place in range(len(rationale.claims))]

    found = measure_claims(to_all, write, first_alone, ASKED, attributes=(), n_items=8, how=HOW).to_json()
    assert found["views"]["operator"]["recompute"] == {"claims": 5, "share": 3 / 5}
    assert found["views"]["public k=20"]["recompute"] == {"claims": 0, "share": None}
    with pytest.raises(ValueError, match="0 verdicts on 2 claims"):
        measure_claims(to_all, write, lambda _: [], ASKED[:1], attributes=(), n_items=8, how=HOW)


def test_a_system_without_memory_is_consistent() -> None:
    found = measure_claims(to_all, write, all_hold, ASKED, attributes=(), n_items=8, how=HOW).to_json()
    assert found["consistency"] == {"repeated": 1, "permuted": 1}


def test_a_system_that_remembers_requests_is_caught() -> None:
    class Remembering(Adding):
        """Drops the strongest fact once it has told it to two users."""

        def explain_without(
            self, query: Query, item: int, evidence: Sequence[str], sources: Sequence[int]
        ) -> Explained:
            full = super().explain_without(query, item, evidence, sources)
            return full if self.calls <= len(ASKED) else replace(full, evidence=full.evidence[1:])

    plain = system()
    remembering = Remembering(plain.own.tolist(), plain.pairs)
    alone = (("operator", 1),)
    found = measure_claims(
        lambda view, k: remembering, write, all_hold, ASKED, attributes=(), n_items=8, views=alone, how=HOW
    )
    assert found.repeated == [False, False, False, True]
    assert found.to_json()["consistency"]["permuted"] == 1


def test_claims_that_hang_on_the_order_of_candidates_are_caught() -> None:
    class ByFirst(Adding):
        """Tells nothing where the item stands among the first half of the candidates."""

        def explain(self, query: Query, item: int) -> Explained:
            full = super().explain(query, item)
            if query.candidates is not None and list(query.candidates).index(item) < len(query.candidates) / 2:
                return replace(full, evidence=())
            return full

    plain = system()
    many = [asked([0, 1], 5, user) for user in range(20)]
    by_first = ByFirst(plain.own.tolist(), plain.pairs)
    found = measure_claims(lambda view, k: by_first, write, all_hold, many, attributes=(), n_items=8, how=HOW)
    assert 0 < found.to_json()["consistency"]["permuted"] < 1
    assert found.to_json()["consistency"]["repeated"] == 1


def test_each_view_is_told_what_is_explained_to_it() -> None:
    class ToPublic(Adding):
        """Names the strongest fact alone."""

        def explain(self, query: Query, item: int) -> Explained:
            full = super().explain(query, item)
            return replace(full, evidence=full.evidence[:1])

    plain, asked_of = system(), []

    def explaining(view: str, k: int) -> Adding:
        asked_of.append((view, k))
        return plain if view == "operator" else ToPublic(plain.own.tolist(), plain.pairs)

    found = measure_claims(explaining, write, all_hold, ASKED, attributes=(), n_items=8, how=HOW).to_json()["views"]
    assert asked_of == [("operator", 1), ("public", 5), ("public", 20)]
    assert found["operator"]["claims"]["mean"] == (2 + 2 + 1 + 0) / 4
    assert found["public k=5"]["claims"]["mean"] == (1 + 1 + 0 + 0) / 4


def claim(*facts: FactId, **stored: object) -> Claim:
    ids = tuple(fact.text for fact in facts)
    return Claim(facts[0].kind, " and ".join(ids), ids, stored)


def rationale(*claims: Claim) -> Rationale:
    return Rationale("u", "i", "; ".join(one.text for one in claims), 0, claims, "operator", 1, 0.5)


def test_features_are_what_a_claim_speaks_of() -> None:
    brand = FactId.attribute("brand", "A, B", "j", "i")
    assert features(claim(brand)) == {"brand=A, B", "item=j"}
    assert features(claim(FactId("union", "i", ("j", "k")))) == {"item=j", "item=k"}
    assert features(claim(FactId("alike", "i", ("j",), "image"), attributes=["red"])) == {"item=j", "image:red"}
    assert features(claim(FactId("alike", "i", ("j",), "image"))) == {"item=j", "image:"}
    assert features(claim(FactId.trend(7, 0, "i"))) == {"trend"}


def test_variety_is_measured_against_the_catalogue_and_between_users() -> None:
    brand, year = FactId.attribute("brand", "A", "j", "i"), FactId.attribute("year", 1999, "k", "i")
    told = [
        (0, rationale(claim(brand))),
        (0, rationale(claim(brand))),
        (1, rationale(claim(year))),
        (2, rationale()),
    ]
    found = variety(told, {"brand=A", "brand=B", "year=1999", "year=2000"}, n_items=10)
    assert (found.attributes_used, found.coverage) == (2, 0.5)
    assert (found.items_used, found.item_coverage) == (2, 0.2)
    assert (found.distinct_texts, found.distinct_claims) == (2 / 3, 2 / 3)
    assert (found.between_users, found.within_users) == (1.0, 0.0)
    nothing = variety([(2, rationale())], (), n_items=10)
    assert math.isnan(nothing.coverage)
    assert math.isnan(nothing.between_users)
