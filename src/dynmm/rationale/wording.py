"""From the facts of claims to sentences. Text is a function of the facts: the same facts give the same text.

A claim's text is a clause that can stand alone but for its capital and full stop. What it says of people is plain
about direction: only `followed` knows what came after what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynmm.rationale.shown import quoted, unquoted_where_plain
from dynmm.rationale.words import Words, amount, listed, number, people
from dynmm.types import Claim

ABSTENTION = "There is no fact that may be shown for this item."
SMALL_PART = "These facts are a small part of why it is ranked here."

#: Claims in a sentence.
PER_SENTENCE = 2

#: Titles that a sentence opens with, at most.
_OPENING_TITLES = 2

#: Words of a likeness that a claim names, at most.
_LIKENESS_WORDS = 3

Facts = Mapping[str, Any]

_ALIKE = {"image": "looks{} like", "audio": "sounds{} like", "text": "is described{} like"}
_CATEGORIES = {"category", "categories", "genre", "genres"}
_TAGS = {"tag", "tags"}


def claim_text(kind: str, facts: Facts, words: Words) -> str:
    """The clause that tells the facts of a claim."""
    return _CLAUSES[kind](facts, words)


def rationale_text(claims: Sequence[Claim], words: Words, *, small_part: bool) -> str:
    """The sentences that claims make: two to a sentence, those that start from the user's history first.

    small_part: add that the facts are a small part of the reason.
    """
    if not claims:
        return ABSTENTION
    sourced = [claim for claim in claims if claim.facts.get("titles")]
    parts = [sourced[start : start + PER_SENTENCE] for start in range(0, len(sourced), PER_SENTENCE)]
    parts += [[claim] for claim in claims if not claim.facts.get("titles")]
    sentences = [_sentence(part, words, first=place == 0) for place, part in enumerate(parts)]
    return " ".join([*sentences, SMALL_PART] if small_part else sentences)


def sentences_of(kinds: Sequence[str]) -> int:
    """How many sentences claims of these kinds take."""
    trends = sum(kind == "trend" for kind in kinds)
    return trends + -(-(len(kinds) - trends) // PER_SENTENCE)


def _sentence(claims: Sequence[Claim], words: Words, *, first: bool) -> str:
    """Claims side by side. The first sentence opens with the user's own items, where its claims start from such.

    The claims name them again, so more than two are not listed beforehand.
    """
    told = "; ".join(claim.text for claim in claims)
    titles = dict.fromkeys(title for claim in claims for title in claim.facts.get("titles", ()))
    if first and titles:
        few = listed([quoted(title) for title in titles]) if len(titles) <= _OPENING_TITLES else ""
        return f"Because {f'you {words.verb} {few}' if few else f'of what you {words.verb}'}: {told}."
    return f"{told[:1].upper()}{told[1:]}." if first else f"Also, {told}."


def _sources(facts: Facts, words: Words, *further: str) -> list[str]:
    """The named titles, how many are not named, and what else the list is to hold."""
    parts = [quoted(title) for title in facts["titles"]]
    if facts.get("more"):
        parts.append(f"{facts['more']:,} more of your {words.nouns}")
    return [*parts, *further]


def _followed(facts: Facts, words: Words) -> str:
    within = f"within their next {number(facts['within'])} {words.nouns}"
    if facts["within"] == 1:
        within = f"as their next {words.noun}"
    if "window" in facts and (wide := amount(facts, "together_users")) != amount(facts, "users"):
        takers = _takers({**facts, "users": wide}, wide, words)
        return f"{takers} also {words.verb} this, {amount(facts, 'users')} of them {within}"
    return f"{_takers(facts, amount(facts, 'users'), words)} {words.verb} this {within}"


def _together(facts: Facts, words: Words) -> str:
    return f"{_takers(facts, amount(facts, 'users'), words)} also {words.verb} this"


def _takers(facts: Facts, count: str, words: Words) -> str:
    """ "231 of the 1,204 people who watched “Gravity”"."""
    whole = facts.get("source_users", 1)
    whom = "person" if count == "1" else "people"
    named = f"{count} of the {whole:,} people" if whole > 1 else f"{count} {whom}"
    return f"{named} who {words.verb} {quoted(facts['titles'][0])}"


def _union(facts: Facts, words: Words) -> str:
    sources = _sources(facts, words)
    several = "at least one of " if len(sources) > 1 else ""
    return f"{people(facts)} who {words.verb} {several}{listed(sources)} also {words.verb} this"


def _attribute(facts: Facts, words: Words) -> str:
    sources = _sources(facts, words, "this")
    whole = "both" if len(sources) == 2 and not facts.get("more") else "all"
    shown = listed([quoted(value) if isinstance(value, str) else str(value) for value in facts["values"]])
    column, several = facts["name"].lower(), len(facts["values"]) > 1
    if column in _CATEGORIES:
        return f"{listed(sources)} are {whole} in the {'categories' if several else 'category'} {shown}"
    if column in _TAGS:
        return f"{listed(sources)} are {whole} tagged {shown}"
    if column == "title word":
        return f"{listed(sources)} {whole} have {shown} in the title"
    if column == "brand":
        return f"{listed(sources)} are {whole} by {shown}"
    if column == "year":
        return f"{listed(sources)} are {whole} from {shown}"
    return f"{listed(sources)} have {shown} in common ({unquoted_where_plain(facts['name'])})"


def _alike(facts: Facts, _words: Words) -> str:
    degree = "" if facts["degree"] == "plainly" else f" {facts['degree']}"
    verb = _ALIKE.get(facts["modality"], "is{} like").format(degree)
    exact = f" (cosine {facts['cosine']})" if "cosine" in facts else ""
    held = ", ".join(unquoted_where_plain(word) for word in facts["attributes"][:_LIKENESS_WORDS])
    other = "" if facts["modality"] in _ALIKE else f" in {unquoted_where_plain(facts['modality'])}"
    return f"this {verb} {quoted(facts['titles'][0])}{other}{exact}" + (f", both: {held}" if held else "")


def _trend(facts: Facts, words: Words) -> str:
    days = f"{facts['days']:,} days" if facts["days"] != 1 else "day"
    rank = f", which is rank {facts['rank']:,} among all {words.nouns}" if "rank" in facts else ""
    return f"{people(facts)} {words.verb} this in the last {days}{rank}"


_CLAUSES: dict[str, Callable[[Facts, Words], str]] = {
    "followed": _followed,
    "together": _together,
    "union": _union,
    "attribute": _attribute,
    "alike": _alike,
    "trend": _trend,
}
