"""From the clauses of claims to sentences. Text is a function of the facts and of the ways that are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from dynmm.rationale.phrases import plain
from dynmm.rationale.shown import quoted
from dynmm.rationale.words import Words, listed
from dynmm.types import Claim, OneOf, Phrase

ABSTENTION = "There is no fact that may be shown for this item."
SMALL_PART = "These facts are a small part of why it is ranked here."

#: Claims in a sentence.
PER_SENTENCE = 2

#: Kinds that start from no item of the history: a sentence each.
_ALONE = frozenset({"trend", "taken"})

#: Titles that a sentence opens with, at most.
_OPENING_TITLES = 2

_FURTHER = ("Also, ", "Besides, ", "What is more, ")
_SMALL_PARTS = (SMALL_PART, "They are only a small part of why it is ranked here.")


def rationale_text(claims: Sequence[Claim], words: Words, *, small_part: bool) -> str:
    """The plain sentences that claims make of their texts: two to a sentence, the user's history first.

    small_part: add that the facts are a small part of the reason.
    """
    return plain(rationale_phrase(claims, [[claim.text] for claim in claims], words, small_part=small_part))


def rationale_phrase(
    claims: Sequence[Claim], clauses: Sequence[Sequence[str]], words: Words, *, small_part: bool
) -> Phrase:
    """Every text that claims may make.

    clauses: for each claim, those that may tell it, at least one. Two claims of a sentence stand in either order.
    """
    if not claims:
        return ABSTENTION
    told = list(zip(claims, clauses, strict=True))
    sourced = [one for one in told if _titles(one[0])]
    parts = [sourced[start : start + PER_SENTENCE] for start in range(0, len(sourced), PER_SENTENCE)]
    parts += [[one] for one in told if not _titles(one[0])]
    sentences: list[Phrase] = [_sentence(part, words, first=place == 0) for place, part in enumerate(parts)]
    if small_part:
        sentences.append(OneOf(_SMALL_PARTS))
    return tuple(part for one in sentences for part in (" ", one))[1:]


def sentences_of(kinds: Sequence[str]) -> int:
    """How many sentences claims of these kinds take."""
    alone = sum(kind in _ALONE for kind in kinds)
    return alone + -(-(len(kinds) - alone) // PER_SENTENCE)


def _titles(claim: Claim) -> Sequence[str]:
    titles: Sequence[str] = claim.facts.get("titles", ())
    return titles


def _sentence(told: Sequence[tuple[Claim, Sequence[str]]], words: Words, *, first: bool) -> Phrase:
    """Claims side by side. The first sentence opens with the user's own items, where its claims start from such.

    The claims name them again, so more than two are not listed beforehand.
    """
    titles = dict.fromkeys(title for claim, _ in told for title in _titles(claim))
    if not first:
        return (OneOf(_FURTHER), _in_either_order([clauses for _, clauses in told]), ".")
    if not titles:
        return (OneOf(tuple(f"{one[:1].upper()}{one[1:]}" for one in told[0][1])), ".")
    few = listed([quoted(title) for title in titles]) if len(titles) <= _OPENING_TITLES else ""
    return (OneOf(_openings(few, words)), ": ", _in_either_order([clauses for _, clauses in told]), ".")


def _openings(few: str, words: Words) -> tuple[str, ...]:
    if few:
        did = f"you {words.verb} {few}"
        return (f"Because {did}", f"This is here because {did}", f"Y{did[1:]}")
    what = f"what you {words.verb}"
    return (f"Because of {what}", f"This is here because of {what}", f"Going by {what}")


def _in_either_order(clauses: Sequence[Sequence[str]]) -> Phrase:
    ways = [OneOf(tuple(each)) for each in clauses]
    if len(ways) == 1:
        return ways[0]
    one, other = ways
    return OneOf((_joined(one, other), _joined(other, one)))


def _joined(one: Phrase, other: Phrase) -> Phrase:
    return (one, OneOf(("; ", "; and ")), other)
