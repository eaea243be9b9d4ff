"""What is said of a pair of items, over the counts of both: logarithms and plain sums."""

from __future__ import annotations

import numpy as np

from dynmm.evidence.pairrows import PairGrid, PairRows
from dynmm.types import FloatArray

#: Facts of pairs, and the kind of evidence that each is told as.
PAIR_FACTS = {
    "followed": "followed",
    "after": "together",
    "before": "together",
    "users": "together",
    "flow": "followed",
    "ahead": "together",
    "behind": "together",
}

#: Power of a candidate's events that plain sums are divided by: 1/2 would be a cosine, which hides what is popular.
LEANING = 0.2


def facts_of_pairs(read: PairRows | PairGrid, sources: FloatArray, items: FloatArray) -> dict[str, FloatArray]:
    """The facts of pairs over the counts of both items, which are at least 1 and broadcast to what was read."""
    cosine = 1.0 / np.sqrt(sources * items)
    leaning = 1.0 / (np.sqrt(sources) * items**LEANING)
    flow = read.first + read.later
    return {
        "followed": np.log1p(flow) * cosine,
        "after": np.log1p(2.0 * read.after) * cosine,
        "before": np.log1p(2.0 * read.before) * cosine,
        "users": np.log1p(read.users) * cosine,
        "flow": flow * leaning,
        "ahead": 2.0 * read.after * leaning,
        "behind": 2.0 * read.before * leaning,
    }
