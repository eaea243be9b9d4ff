"""What a picture or a sound explains is found by the rule, and the rule is checked by ranking again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.worlds import QUICK

from dynmm.assembly import FitOptions, fit
from dynmm.assembly.whole import Whole, whole_of
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.demo import sensing
from dynmm.demo.exhibiting import exhibit
from dynmm.demo.sensing import Search, search
from dynmm.demo.telling import sensed
from dynmm.demo.worlds import Newcomers, world_with_newcomers
from dynmm.recommender import Recommender

#: Of this small world, so that some recommendations are owed to a single sense on any machine.
STAYS = 5


@pytest.fixture(scope="module")
def new() -> Newcomers:
    return world_with_newcomers(0, users=80, items=80, events=2_000, newcomers=12)


@pytest.fixture(scope="module")
def fitted(new: Newcomers, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    cache = tmp_path_factory.mktemp("cache")
    recommender = fit(new.data, QUICK, split="full", options=FitOptions("cpu", cache)).recommender
    recommender.add_items(new.items, new.media, cache=cache)
    return recommender


@pytest.fixture(scope="module")
def found(fitted: Recommender) -> dict[Modality, Search]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensing, "STAYS", STAYS)
        return {one.modality: one for one in search(fitted, (IMAGE, AUDIO, TEXT))}


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


def test_the_sentences_say_what_was_found_and_show_it(
    fitted: Recommender, found: dict[Modality, Search], new: Newcomers
) -> None:
    catalogues = [Catalogue.of(new.data), Catalogue.from_frames(new.items, new.media)]
    one = next(one for one in found.values() if one.case is not None and one.modality != TEXT)
    assert one.case is not None
    told = sensed(fitted, one, catalogues, new.owed_to)
    said = " ".join(told.sentences)
    assert f"User {one.case.user} is recommended {fitted.title(one.case.item)} in place {one.case.place}." in said
    assert f"{len(one.looked):,} in all, this holds for {len(one.owed):,}" in said
    assert "truth is known" in said
    assert told.places["everything"] == one.case.place
    assert len(told.exhibits) == (1 if one.case.like is None else 2)
    assert "truth" not in " ".join(sensed(fitted, one, catalogues, None).sentences)


def test_where_nothing_is_found_that_is_said(fitted: Recommender, found: dict[Modality, Search]) -> None:
    some = found[IMAGE]
    told = sensed(fitted, Search(IMAGE, some.users, some.looked, [], None), [], None)
    assert told.title == "No recommendation is owed to a picture alone"
    assert "there is none of which this holds" in told.sentences[0]
    assert told.exhibits == ()


def test_exhibits_are_written_anew_from_what_was_decoded(new: Newcomers) -> None:
    catalogue = Catalogue.from_frames(new.items, new.media)
    item = new.items["item_id"][0]
    picture = exhibit([catalogue], IMAGE, item, "a <caption>")
    sound = exhibit([Catalogue.of(new.data), catalogue], AUDIO, item, "")
    assert picture is not None
    assert sound is not None
    assert picture.content.startswith(b"\x89PNG")
    assert sound.content.startswith(b"RIFF")
    assert exhibit([catalogue], IMAGE, "nobody", "") is None
