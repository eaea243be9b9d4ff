"""What a picture or a sound explains is found by the rule, and the rule is checked by ranking again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.demo.made import STAYS
from tests.worlds import QUICK

from dynmm.assembly import FitOptions, fit
from dynmm.assembly.whole import Whole, whole_of
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.demo import sensing
from dynmm.demo.sensing import Search, search
from dynmm.demo.worlds import Newcomers
from dynmm.recommender import Recommender


def place(system: Whole, recommender: Recommender, user: str, item: str) -> int:
    """Where the item stands in the list of the system, by its own ranking."""
    again = Recommender(system, recommender.known)
    again.items, again._titles = recommender.items, recommender._titles
    listed = [one.item for one in again.recommend(user, len(recommender.items))]
    return 1 + listed.index(item)


def alone(recommender: Recommender, modality: Modality, item: str) -> Whole:
    """The system where one item lacks a modality."""
    whole = whole_of(recommender)
    hit = np.arange(len(recommender.items)) == recommender.items.encode(item)
    changed = [one.without(hit) if one.modality == modality else one for one in whole.features]
    return whole.with_features(changed)


def test_facts_count_in_what_is_looked_at(fitted: Recommender) -> None:
    evidence = whole_of(fitted).evidence
    assert evidence is not None
    assert evidence.weights.effective.max() > 0


def test_the_rule_holds_when_all_is_ranked_again(fitted: Recommender, found: dict[Modality, Search]) -> None:
    checked = 0
    for modality, one in found.items():
        for user, item in one.owed:
            assert place(whole_of(fitted), fitted, user, item) <= sensing.FIRST
            assert place(alone(fitted, modality, item), fitted, user, item) > STAYS
            for other in set(found) - {modality}:
                assert place(alone(fitted, other, item), fitted, user, item) <= STAYS
            checked += 1
            if checked == 6:
                return
    assert checked > 0


def test_what_is_looked_at_are_the_first_recommendations(fitted: Recommender, found: dict[Modality, Search]) -> None:
    one = found[IMAGE]
    assert one.users == fitted.known.n_users
    assert len(one.looked) == one.users * sensing.FIRST
    user = one.looked[0][0]
    listed = [item for name, item in one.looked if name == user]
    assert listed == [recommended.item for recommended in fitted.recommend(user, sensing.FIRST)]
    assert set(one.owed) <= set(one.looked)


def test_newcomers_alone_can_be_looked_at(fitted: Recommender, new: Newcomers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensing, "STAYS", STAYS)
    late = new.items["item_id"].to_list()
    found = search(fitted, (IMAGE, AUDIO, TEXT), late)
    assert {one.among for one in found} == {len(late)}
    user = found[0].looked[0][0]
    listed = [item for name, item in found[0].looked if name == user]
    assert listed == [one.item for one in fitted.rank(user, late)[: sensing.FIRST]]
    cases = [one.case for one in found if one.case is not None]
    assert cases
    for case in cases:
        without = Recommender(alone(fitted, case.modality, case.item), fitted.known)
        without.items, without._titles = fitted.items, fitted._titles
        ranked = [one.item for one in without.rank(case.user, late)]
        assert 1 + ranked.index(case.item) == case.without[case.modality] > STAYS


def test_the_case_is_one_of_those_and_tells_what_was_taken_away(
    fitted: Recommender, found: dict[Modality, Search]
) -> None:
    cases = [one.case for one in found.values() if one.case is not None]
    assert cases
    for case in cases:
        assert (case.user, case.item) in found[case.modality].owed
        assert case.place == place(whole_of(fitted), fitted, case.user, case.item)
        for modality, without in case.without.items():
            assert without == place(alone(fitted, modality, case.item), fitted, case.user, case.item)
        assert case.like is None or case.like in fitted.history(case.user)


def test_words_hold_for_both(fitted: Recommender, found: dict[Modality, Search]) -> None:
    named = {one.modality: one.attributes for one in whole_of(fitted).features}
    for case in (one.case for one in found.values()):
        attributes = None if case is None else named[case.modality]
        if case is None or attributes is None or case.like is None:
            continue
        for word in case.words:
            column = attributes.names.index(word)
            rows = [fitted.items.encode(case.item), fitted.items.encode(case.like)]
            assert (attributes.values[rows, column] > 0.5).all()


def test_a_run_that_knows_no_such_thing_has_nothing_to_search(new: Newcomers, tmp_path: Path) -> None:
    config = {**QUICK, "fusion": {"variant": "off"}}
    recommender = fit(new.data, config, split="full", options=FitOptions("cpu", tmp_path)).recommender
    assert search(recommender, (IMAGE, AUDIO)) == []
