"""The parts of a score as a view shows them: exact for the operator, in words and bars for the public."""

from __future__ import annotations

import math
from typing import Any

from dynmm.rationale.claims import drafts, raising, untold, worth
from dynmm.rationale.privacy import coarse
from dynmm.rationale.settings import RationaleSettings
from dynmm.types import Explained


def shown_parts(explained: Explained, settings: RationaleSettings, n_items: int) -> dict[str, Any]:
    """A score's parts as one JSON object.

    operator: score, rank, contributions, evidence, rest, as_of_offset, rest_raises, all exact. public: rank and parts,
    each a word and a bar from 0 to 5; of the evidence, `evidence` is what the view could tell, and `remainder` all else
    in one, without names. n_items: of the catalogue.
    """
    if settings.view == "operator":
        evidence = [one.as_json() for one in explained.evidence]
        return {**vars(explained), "contributions": dict(explained.contributions), "evidence": evidence}
    facts = raising(explained)
    told = {fact for draft in drafts(facts, settings, n_items) for fact in draft.covers}
    others = {name: part for name, part in explained.contributions.items() if name != "evidence"}
    remainder = math.fsum([worth(facts.keys() - told, facts), untold(explained)])
    parts = coarse({**others, "evidence": worth(told, facts), "remainder": remainder}, settings)
    return {
        "item": explained.item,
        "rank": explained.rank,
        "parts": {name: dict(vars(one)) for name, one in parts.items()},
    }
