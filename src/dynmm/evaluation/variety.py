"""What rationales speak of: how much of the catalogue they use, and how far they differ between users."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from dynmm.factids import FactId
from dynmm.randomness import generator
from dynmm.types import Claim, Rationale

#: Pairs of rationales whose difference is averaged.
PAIRS = 5_000

#: The prefix of a history item among the features; the others are attributes, likenesses, and counts of the item alone.
_ITEM = "item="


@dataclass(frozen=True)
class Variety:
    """Of rationales with claims.

    attributes_used: distinct attribute values named. coverage: share of the catalogue's that this is (feature
    coverage, Li et al. 2020, section 4.2.2), nan for a catalogue without any. items_used: distinct items named as
    reasons. item_coverage: share of the catalogue that this is. distinct_texts, distinct_claims: share of rationales
    with a text of their own, of claims with words of their own. between_users, within_users: mean Jaccard distance
    of what two rationales speak of, of different users and of one; nan without two such.
    """

    attributes_used: int
    coverage: float
    items_used: int
    item_coverage: float
    distinct_texts: float
    distinct_claims: float
    between_users: float
    within_users: float

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def features(claim: Claim) -> frozenset[str]:
    """What a claim speaks of, by the facts that it cites: attributes as ``name=value``, items, likenesses."""
    found = set()
    for fact in map(FactId.parse, claim.evidence):
        found |= {f"{_ITEM}{source}" for source in fact.sources}
        if fact.kind == "attribute":
            found.add(f"{fact.name}={fact.value}")
        elif fact.kind == "alike":
            words = claim.facts.get("attributes", ())
            found |= {f"{fact.name}:{word}" for word in words} or {f"{fact.name}:"}
        elif fact.kind in ("trend", "taken"):
            found.add(fact.kind)
    return frozenset(found)


def variety(
    rationales: Sequence[tuple[int, Rationale]], attributes: Collection[str], n_items: int, *, seed: int = 0
) -> Variety:
    """rationales: (user, rationale); abstentions are left out. attributes: ``name=value`` of those that items of the
    catalogue share. n_items: of the catalogue."""
    told = [(user, rationale) for user, rationale in rationales if not rationale.abstains]
    spoken = [frozenset().union(*map(features, rationale.claims)) for _, rationale in told]
    used = frozenset().union(*spoken)
    named = [one for one in used if one.startswith(_ITEM)]
    known = used & frozenset(attributes)
    claims = [claim.text for _, rationale in told for claim in rationale.claims]
    between, within = _distances([user for user, _ in told], spoken, seed)
    return Variety(
        attributes_used=len(known),
        coverage=len(known) / len(attributes) if attributes else math.nan,
        items_used=len(named),
        item_coverage=len(named) / n_items if n_items else math.nan,
        distinct_texts=_distinct([rationale.text for _, rationale in told]),
        distinct_claims=_distinct(claims),
        between_users=between,
        within_users=within,
    )


def _distinct(texts: Sequence[str]) -> float:
    return len(set(texts)) / len(texts) if texts else math.nan


def _distances(users: Sequence[int], spoken: Sequence[frozenset[str]], seed: int) -> tuple[float, float]:
    """Mean Jaccard distance between different users and within one, over pairs drawn at random."""
    n = len(users)
    near = [(a, b) for a in range(n) for b in range(a + 1, min(n, a + 20)) if users[a] == users[b]]
    drawn = generator(seed, "pairs of rationales", n).integers(0, max(n, 1), size=(PAIRS, 2)).tolist() if n else []
    far = [(a, b) for a, b in drawn if users[a] != users[b]]
    return _mean_distance(far, spoken), _mean_distance(near, spoken)


def _mean_distance(pairs: Sequence[tuple[int, int]], spoken: Sequence[frozenset[str]]) -> float:
    distances = [1.0 - len(spoken[a] & spoken[b]) / len(spoken[a] | spoken[b]) for a, b in pairs]
    return sum(distances) / len(distances) if distances else math.nan
