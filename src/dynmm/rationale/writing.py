"""From the parts of a score to a rationale."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynmm.rationale.claims import Draft, chosen, drafts, positive_part, raising, share_told
from dynmm.rationale.clauses import claim_text
from dynmm.rationale.grounds import claim_facts
from dynmm.rationale.jsonvalues import same
from dynmm.rationale.privacy import told_share
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.shown import shown_titles
from dynmm.rationale.wording import rationale_text
from dynmm.rationale.words import Words
from dynmm.types import Claim, Evidence, Explained, Rationale

if TYPE_CHECKING:
    from dynmm.factids import FactId
    from dynmm.interactions.dataset import DatasetInfo
    from dynmm.protocols import FactStore

_log = logging.getLogger(__name__)


def write(
    explained: Explained,
    store: FactStore,
    info: DatasetInfo,
    settings: RationaleSettings | None = None,
    user: str | None = None,
) -> Rationale:
    """Why an item is recommended: the strongest claims that the view may make, in one or two sentences.

    explained: the parts of the item's score for this user. info: the noun and the verb. user: who asks, None where
    the history came with the request. With nothing that may be said, the rationale has no claims and says so. With
    `settings.recount`, facts that the store does not confirm are left out and a warning is logged.
    """
    settings = settings or RationaleSettings()
    made = _confirmed(explained, store, settings, user)
    words = Words.of(info)
    titles = shown_titles([explained.item, *(source for one in made for source in one.grounds.sources)], store)
    claims = tuple(_claim(draft, titles, words, settings) for draft in made)
    covers = frozenset[Any]().union(*(draft.covers for draft in made))
    share = share_told(covers, explained)
    small = carries_a_small_part(explained, share, settings)
    return Rationale(
        user,
        explained.item,
        rationale_text(claims, words, small_part=small),
        explained.as_of_offset,
        claims,
        settings.view,
        settings.k,
        told_share(share, settings),
    )


def carries_a_small_part(explained: Explained, share: float, settings: RationaleSettings) -> bool:
    """Whether facts that carry this share of the evidence carry little of all that raises the score."""
    positive = positive_part(explained)
    others = math.fsum(max(0.0, part) for name, part in explained.contributions.items() if name != "evidence")
    return 0.0 < share * positive < settings.small_part * (positive + others)


def _claim(draft: Draft, titles: Mapping[str, str], words: Words, settings: RationaleSettings) -> Claim:
    facts = claim_facts(draft.grounds, titles, settings)
    assert facts is not None, "a draft is made only of facts that the view may tell"
    kind = draft.grounds.kind
    cited = tuple(fact.text for fact in draft.grounds.ids)
    return Claim(kind, claim_text(kind, facts, words), cited, facts)


def _confirmed(explained: Explained, store: FactStore, settings: RationaleSettings, user: str | None) -> list[Draft]:
    """The claims to make, of facts that the store confirms."""
    facts = raising(explained)
    known: set[FactId] = set()
    while True:
        made = chosen(drafts(facts, settings, store.n_items), facts, settings)
        fresh = {fact for draft in made for fact in draft.grounds.ids} - known if settings.recount else set()
        wrong = [fact for fact in fresh if not _as_counted(store.fact(fact, explained.as_of_offset, user), facts[fact])]
        if not wrong:
            return made
        first = min(fact.text for fact in wrong)
        _log.warning("%d facts are not as the log has them and are left out, such as %s", len(wrong), first)
        known |= fresh
        facts = {fact: one for fact, one in facts.items() if fact not in wrong}


def _as_counted(stored: Mapping[str, Any] | None, told: Evidence) -> bool:
    return stored is not None and all(same(value, told.facts.get(name)) for name, value in stored.items())
