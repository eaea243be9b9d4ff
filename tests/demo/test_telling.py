"""The sentences on what a sense explains: true to what was found, whichever way it went, and safe to show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.demo.sensing import Case, Search
from dynmm.demo.telling import nothing_to_sense, sensed
from dynmm.demo.worlds import Newcomers
from dynmm.recommender import Recommender


@pytest.fixture
def told_of(found: dict[Modality, Search]) -> Search:
    """A search for a picture or a sound that found something."""
    return next(one for one in found.values() if one.case is not None and one.modality != TEXT)


def test_the_sentences_say_what_was_found_and_show_it(fitted: Recommender, told_of: Search, new: Newcomers) -> None:
    catalogues = [Catalogue.of(new.data), Catalogue.from_frames(new.items, new.media)]
    case = told_of.case
    assert case is not None
    told = sensed(fitted, told_of, catalogues, new.owed_to)
    said = " ".join(told.sentences)
    name = {IMAGE: "picture", AUDIO: "sound"}[told_of.modality]
    assert told.title == f"A recommendation that is owed to a {name} alone"
    assert f"User {case.user} is recommended {fitted.title(case.item)} in place {case.place}." in said
    assert f"Without its {name} its place would be {case.without[told_of.modality]}" in said
    assert f"{len(told_of.looked):,} in all, this holds for {len(told_of.owed):,}" in said
    assert "truth is known" in said
    assert told.places["everything"] == case.place
    assert told.places[f"all but its {name}"] == case.without[told_of.modality]
    assert len(told.exhibits) == (1 if case.like is None else 2)


def test_of_data_that_is_not_simulated_no_truth_is_told(fitted: Recommender, told_of: Search) -> None:
    assert "truth" not in " ".join(sensed(fitted, told_of, [], None).sentences)


def test_what_cannot_be_shown_is_left_out(fitted: Recommender, told_of: Search) -> None:
    assert sensed(fitted, told_of, [], None).exhibits == []


def test_what_was_chosen_from_is_said(fitted: Recommender, told_of: Search) -> None:
    said = " ".join(sensed(fitted, replace(told_of, among=12), [], None).sentences)
    assert "Out of 12 clips that came after the fit, user" in said
    assert "recommendations out of the 12 items that came after the fit to each of" in said
    assert "came after the fit" not in " ".join(sensed(fitted, told_of, [], None).sentences)


def test_that_nobody_took_an_item_yet_is_said(fitted: Recommender, told_of: Search, new: Newcomers) -> None:
    late, early = new.items["item_id"][0], new.data.items.ids[0]
    for item, expected in ((late, True), (early, False)):
        case = Case(told_of.modality, fitted.users.ids[0], item, 1, {told_of.modality: 30}, None, ())
        said = " ".join(sensed(fitted, replace(told_of, case=case), [], None).sentences)
        assert ("Nobody has watched it yet." in said) == expected
        assert "most like it" not in said


def test_words_that_hold_for_both_are_listed(fitted: Recommender, told_of: Search) -> None:
    item, like = fitted.items.ids[3], fitted.items.ids[4]
    case = Case(told_of.modality, fitted.users.ids[0], item, 1, {told_of.modality: 30}, like, ("dark", "plain", "cool"))
    assert "both are dark, plain and cool." in " ".join(sensed(fitted, replace(told_of, case=case), [], None).sentences)


def test_where_nothing_is_found_that_is_said(fitted: Recommender, found: dict[Modality, Search]) -> None:
    some = found[IMAGE]
    told = sensed(fitted, Search(IMAGE, some.users, some.looked, [], None), [], None)
    assert told.title == "No recommendation is owed to a picture alone"
    assert "there is none of which this holds" in told.sentences[0]
    assert told.exhibits == ()
    assert told.places == {}


def test_titles_are_shown_without_marks_of_direction_or_lines(
    fitted: Recommender, told_of: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = told_of.case
    assert case is not None
    dense = fitted.items.encode(case.item)
    titles = list(fitted.titles)
    titles[dense] = "\u202e<b>evil\x1b[31m\nfilm\u200f"
    monkeypatch.setattr(fitted, "_titles", titles)
    said = " ".join(sensed(fitted, told_of, [], None).sentences)
    assert "<b>evil[31m film" in said
    assert not {"\u202e", "\u200f", "\x1b", "\n"} & set(said)


def test_what_a_run_without_senses_is_told() -> None:
    assert "`dynmm demo` without --data" in nothing_to_sense("film", simulated=False).sentences[0]
    assert "decodes neither" in nothing_to_sense("film", simulated=True).sentences[0]
    unread = nothing_to_sense("film", simulated=False, unread=True).sentences[0]
    assert "has pictures or sounds, and this run read none" in unread
    assert "neither" not in unread
