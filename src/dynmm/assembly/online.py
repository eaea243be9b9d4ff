"""A run with what it has learned, as a system beside the run as fitted."""

from __future__ import annotations

import numpy as np

from dynmm.assembly.whole import Whole, whole_of
from dynmm.errors import ProtocolMismatch, UnsupportedByData
from dynmm.interactions.cases import Cases
from dynmm.recommender import Recommender

#: In every table: the run with its counts and its adapter as they stand at an offset of its log.
ONLINE = "dynmm/online"


def online(recommender: Recommender, cases: Cases) -> tuple[Whole, str]:
    """What a run is now, for questions about the items of its fit, and what to know about it in words.

    Raises ProtocolMismatch where answers are among the events that it has learned, and UnsupportedByData where items
    came since the fit, which a split does not know.
    """
    if recommender.added is not None:
        raise UnsupportedByData(
            f"{recommender.added.height:,} items came since the fit, up to offset {recommender.offset:,}, and the test "
            "part does not know them; name an offset before they came"
        )
    whole = whole_of(recommender)
    learned, asked = whole.learned_events(), np.diff(cases.target_offsets)
    answers = np.repeat(cases.users.astype(np.int64), asked) << 32 | cases.target_items
    known = np.isin(learned.users.astype(np.int64) << 32 | learned.items, answers)
    if known.any():
        offset = recommender.offset - len(learned.users) + int(known.argmax())
        raise ProtocolMismatch(
            f"{int(known.sum()):,} of the events that were learned up to offset {recommender.offset:,} are answers of "
            f"the test part, the first at offset {offset:,}: name an offset no later than that"
        )
    return whole, _note(recommender, cases, len(learned.users))


def _note(recommender: Recommender, cases: Cases, count: int) -> str:
    text = f"{ONLINE} knows {count:,} events that were learned after the fit, up to offset {recommender.offset:,}."
    if cases.as_of is None or recommender.now is None or not count:
        return text
    before = int((cases.as_of < recommender.now).sum())
    return f"{text} {before:,} of the {len(cases):,} cases are of before the newest of them, and know of later events."
