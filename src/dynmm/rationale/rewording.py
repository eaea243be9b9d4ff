"""The same rationale in other words: every text that may be written for it, and what a written text makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dynmm.rationale.clauses import claim_texts
from dynmm.rationale.phrases import says
from dynmm.rationale.shown import for_prompt
from dynmm.rationale.wording import rationale_phrase, rationale_text
from dynmm.rationale.words import Words
from dynmm.types import Phrase, Rationale

if TYPE_CHECKING:
    from dynmm.interactions.dataset import DatasetInfo


def phrase_of(rationale: Rationale, info: DatasetInfo) -> Phrase:
    """Every text that tells a rationale's claims, names, numbers and attributes being those of the claims' facts.

    rationale: in its plain words, true of the stores. info: those under which it was written.
    """
    return _phrase(rationale, _clauses(rationale, Words.of(info)), Words.of(info))


def reworded(rationale: Rationale, text: str, info: DatasetInfo) -> Rationale | None:
    """The rationale with this text, and with each claim's words as the text has them; None where it has no such text.

    Where the text can be read in two ways, the plainer one is taken.
    """
    words = Words.of(info)
    clauses = _clauses(rationale, words)
    if not says(_phrase(rationale, clauses, words), text):
        return None
    for place, ways in enumerate(clauses):
        clauses[place] = next(
            [way]
            for way in ways
            if says(_phrase(rationale, [*clauses[:place], [way], *clauses[place + 1 :]], words), text)
        )
    claims = tuple(replace(claim, text=way) for claim, (way,) in zip(rationale.claims, clauses, strict=True))
    return replace(rationale, text=text, claims=claims)


def facts_for_prompt(rationale: Rationale) -> tuple[str, ...]:
    """The claims for a model to read, one line each, between tags that nothing within a title can close or open."""
    return tuple(for_prompt("fact", claim.text) for claim in rationale.claims)


def _clauses(rationale: Rationale, words: Words) -> list[Sequence[str]]:
    return [claim_texts(claim.kind, claim.facts, words) for claim in rationale.claims]


def _phrase(rationale: Rationale, clauses: Sequence[Sequence[str]], words: Words) -> Phrase:
    small = rationale.text == rationale_text(rationale.claims, words, small_part=True)
    return rationale_phrase(rationale.claims, clauses, words, small_part=small)
