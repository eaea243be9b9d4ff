"""What a search for a sense found, in sentences that hold whichever way it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

from dynmm.assembly import store_of
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.demo.exhibiting import exhibit
from dynmm.demo.sensing import FIRST, STAYS, Case, Search
from dynmm.evaluation.sensed import Exhibit, Sensed
from dynmm.rationale.shown import clean, shown_titles
from dynmm.rationale.words import Words, listed
from dynmm.recommender import Recommender

_NAMES = {TEXT: "text", IMAGE: "picture", AUDIO: "sound"}
_ALIKE = {TEXT: "reads", IMAGE: "looks", AUDIO: "sounds"}

#: (modality, user, item) -> the share of the user's liking that is a taste which this modality alone shows.
Truth = Callable[[Modality, str, str], float]


def sensed(recommender: Recommender, found: Search, catalogues: Sequence[Catalogue], truth: Truth | None) -> Sensed:
    """The section of the report on one modality. truth: where the world is simulated."""
    name, case = _NAMES[found.modality], found.case
    of = "" if found.among is None else f" out of the {found.among:,} items that came after the fit"
    looked = f"Of the first {FIRST} recommendations{of} to each of {found.users:,} users, {len(found.looked):,} in all,"
    rule = (
        f"without its {name} it leaves the first {STAYS}, and without any other single thing that is known of it "
        "it stays"
    )
    if case is None:
        return Sensed(
            f"No recommendation is owed to a {name} alone", [f"{looked} there is none of which this holds: {rule}."]
        )
    sentences = [
        *_about(recommender, case, found.among),
        f"{looked} this holds for {len(found.owed):,}: {rule}.",
        *_truth(found, case, truth),
    ]
    shown = [_exhibit(recommender, case, one, catalogues) for one in (case.item, case.like) if one is not None]
    places = {"everything": case.place} | {f"all but its {_NAMES[one]}": at for one, at in case.without.items()}
    title = f"A recommendation that is owed to a {name} alone"
    return Sensed(title, sentences, places, [one for one in shown if one is not None])


def nothing_to_sense(noun: str, *, simulated: bool, unread: bool = False) -> Sensed:
    """The section where the run knows neither pictures nor sounds. noun: of the data. unread: the data has some."""
    install = "pip install '.[vision,audio]' brings what it takes"
    if unread:
        told = f"The data has pictures or sounds, and this run read none of them; {install}."
    elif simulated:
        told = f"Here a {noun} has neither a picture nor a sound; this installation decodes neither: {install}."
    else:
        told = (
            f"Here a {noun} has neither a picture nor a sound; `dynmm demo` without --data simulates a small world "
            "that has both, and shows what they explain."
        )
    return Sensed("Pictures and sounds", [told])


def _about(recommender: Recommender, case: Case, among: int | None) -> list[str]:
    words, name = Words.of(recommender.known.info), _NAMES[case.modality]
    of = "" if among is None else f"Out of {among:,} {words.nouns} that came after the fit, "
    new = f" Nobody has {words.verb} it yet." if _is_new(recommender, case.item) else ""
    others = "".join(f", without its {_NAMES[one]} {at}" for one, at in case.without.items() if one != case.modality)
    told = [
        f"{of}{'user' if of else 'User'} {clean(case.user)} is recommended "
        f"{_title(recommender, case, case.item)} in place {case.place}.{new}",
        f"Without its {name} its place would be {case.without[case.modality]}{others}.",
    ]
    if case.like is not None:
        alike = f"{_title(recommender, case, case.like)} {_ALIKE[case.modality]} most like it"
        shared = f": both are {listed(case.words)}" if case.words else ""
        told.append(f"Of what the user {words.verb}, {alike}{shared}.")
    return told


def _truth(found: Search, case: Case, truth: Truth | None) -> list[str]:
    if truth is None:
        return []
    name = _NAMES[found.modality]
    here = truth(found.modality, case.user, case.item)
    owed, looked = (mean(truth(found.modality, *pair) for pair in pairs) for pairs in (found.owed, found.looked))
    return [
        f"This world is simulated, so the truth is known, though no recommender saw it: tastes that only a {name} "
        f"shows make up {here:.0%} of what draws this user to it, {owed:.0%} on average where the rule holds, and "
        f"{looked:.0%} over all recommendations that were looked at."
    ]


def _exhibit(recommender: Recommender, case: Case, item: str, catalogues: Sequence[Catalogue]) -> Exhibit | None:
    verb = "recommended" if item == case.item else Words.of(recommender.known.info).verb
    return exhibit(catalogues, case.modality, item, f"{_title(recommender, case, item)} ({verb})")


def _title(recommender: Recommender, case: Case, item: str) -> str:
    """Safe to show, and told apart from the case's other item."""
    both = [one for one in (case.item, case.like) if one is not None]
    return shown_titles(both, store_of(recommender))[item]


def _is_new(recommender: Recommender, item: str) -> bool:
    return recommender.items.encode(item, what="item") >= recommender.known.n_items
