"""How much each attribute and each modality of an item counts in its score: by taking it away, never by attention."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from dynmm.assembly.whole import Whole, whole_of
from dynmm.evidence.system import latent_scores
from dynmm.recommender import Recommender
from dynmm.system import Query


def importance_of(recommender: Recommender, query: Query, item: int) -> dict[str, float]:
    """By attribute or modality, most important first: what latent and evidence of one dense item lose without it.

    Attributes (brand, category, ...) speak through evidence alone. A modality is taken from the item in the joint
    stage, too, and the latent is made again. Negative where the item would stand better without. Where an adapter
    moves the item or a re-ranker looks at it is not made again, so neither is in it. Where an attribute and a modality
    have one name, the keys say which is which.
    """
    whole = whole_of(recommender)
    parts = [] if whole.evidence is None else whole.evidence.parts(query, item)
    both = _of_both(whole)
    lost: dict[str, float] = defaultdict(float)
    for part in parts:
        if part.kind in ("attribute", "alike"):
            what = "attribute" if part.kind == "attribute" else "modality"
            lost[f"{part.name} ({what})" if part.name in both else part.name] += part.amount
    if whole.joint is not None:
        # From the stage as fitted, as what follows: between it and moved vectors would lie all that the adapter did.
        before = float(latent_scores(whole.joint, [query])[0, item])
        marked = np.zeros(whole.joint.n_items, np.bool_)
        marked[item] = True
        for one in whole.joint.features:
            if one.present[item]:
                seen = [each.without(marked) if each is one else each for each in whole.joint.features]
                after = float(latent_scores(whole.joint.with_features(seen), [query])[0, item])
                lost[f"{one.modality} (modality)" if one.modality in both else one.modality] += before - after
    return dict(sorted(lost.items(), key=lambda entry: (-entry[1], entry[0])))


def _of_both(whole: Whole) -> set[str]:
    """Names that an attribute has, and a modality, too."""
    if whole.evidence is None:
        return set()
    terms = whole.evidence.terms
    modalities = {one.modality for one in terms.likeness}
    if whole.joint is not None:
        modalities |= {one.modality for one in whole.joint.features}
    return modalities & set(terms.attributes.names)
