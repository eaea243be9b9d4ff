"""Facts by name, as they stood at an offset: counted from the raw events, and read from the items themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.weighing import PairSettings
from dynmm.factids import FactId
from dynmm.interactions.vocabulary import Vocabulary

_DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class EvidenceStore:
    """A `FactStore` over the log of a run and the items that it knows. Nothing in here is aggregated or learned.

    items, users: outside ids in dense order. taken: dense items of a dense user, their events up to an offset of the
    log; those of validation, which count in no statistic, are in it. titles, years, brands: (I,), None where unknown.
    known_until: the time of the newest event at the fit, ms UTC, those of validation among them.
    """

    ledger: Ledger
    likeness: tuple[Likeness, ...]
    attributes: AttributeTable
    items: Vocabulary
    users: Vocabulary
    taken: Callable[[int, int], frozenset[int]]
    titles: tuple[str | None, ...]
    years: tuple[int | None, ...]
    brands: tuple[str | None, ...]
    pairs: PairSettings
    known_until: int | None = None

    @property
    def offset(self) -> int:
        """See `FactStore.offset`."""
        return self.ledger.offset

    @property
    def n_items(self) -> int:
        """See `FactStore.n_items`."""
        return self.attributes.n_fitted

    def fact(self, fact: FactId, as_of: int, user: str | None = None) -> Mapping[str, Any] | None:
        """See `FactStore.fact`."""
        if any(item not in self.items for item in (fact.item, *fact.sources)):
            return None
        item = self.items.encode(fact.item, what="item")
        sources = [self.items.encode(source, what="item") for source in fact.sources]
        without = self.users.encode(user, what="user") if user is not None and user in self.users else None
        read: dict[str, Callable[[], Mapping[str, Any] | None]] = {
            "followed": lambda: self._followed(sources[0], item, as_of, without),
            "together": lambda: self._together(sources[0], item, as_of, without),
            "union": lambda: self._union(sources, item, as_of, without),
            "attribute": lambda: self._attribute(fact, sources[0], item),
            "alike": lambda: self._alike(fact.name, sources[0], item),
            "trend": lambda: self._trend(fact, item, as_of, without),
            "taken": lambda: self._taken(item, as_of, without),
        }
        return read[fact.kind]()

    def released(self, item: str, every: int, as_of: int | None = None) -> int:
        """See `FactStore.released`."""
        if item not in self.items:
            return self.ledger.n_fitted
        return self.ledger.released(self.items.encode(item, what="item"), every, as_of)

    def moment(self, as_of: int) -> int | None:
        """See `FactStore.moment`."""
        newest = self.ledger.newest(as_of)
        return newest if newest is None or self.known_until is None else max(newest, self.known_until)

    def has(self, user: str, item: str, as_of: int) -> bool | None:
        """See `FactStore.has`."""
        if user not in self.users:
            return None
        if item not in self.items:
            return False
        return self.items.encode(item, what="item") in self.taken(self.users.encode(user, what="user"), as_of)

    def title(self, item: str) -> str | None:
        """See `FactStore.title`."""
        return self.titles[self.items.encode(item, what="item")] if item in self.items else None

    def about(self, item: str) -> Mapping[str, Any] | None:
        """See `FactStore.about`."""
        if item not in self.items:
            return None
        place = self.items.encode(item, what="item")
        known = {"year": self.years[place], "brand": self.brands[place]}
        return {name: value for name, value in known.items() if value is not None}

    def _followed(self, source: int, item: int, as_of: int, without: int | None) -> Mapping[str, Any] | None:
        users = self.ledger.followed_users(source, item, self.pairs.within, as_of, without_user=without)
        if not users:
            return None
        took = self.ledger.takers(source, as_of, without_user=without)
        return {"users": users, "within": self.pairs.within, "source_users": took}

    def _together(self, source: int, item: int, as_of: int, without: int | None) -> Mapping[str, Any] | None:
        users = self.ledger.together_users(source, item, self.pairs.window, as_of, without_user=without)
        if not users:
            return None
        took = self.ledger.takers(source, as_of, without_user=without)
        return {"users": users, "window": self.pairs.window, "source_users": took}

    def _union(self, sources: list[int], item: int, as_of: int, without: int | None) -> Mapping[str, Any] | None:
        users = self.ledger.union_users(sources, item, self.pairs.window, as_of, without_user=without)
        return {"users": users, "window": self.pairs.window} if users else None

    def _attribute(self, fact: FactId, source: int, item: int) -> Mapping[str, Any] | None:
        place = self.attributes.place(fact.name, fact.value)
        if place is None or any(place not in self.attributes.of_item(one) for one in (source, item)):
            return None
        # Items that came since are not counted: what was told of a value stays true.
        holders = int(self.attributes.shared[place])
        return {"name": fact.name, "value": self.attributes.values[place][1], "items": holders}

    def _alike(self, modality: str, source: int, item: int) -> Mapping[str, Any] | None:
        for one in self.likeness:
            if one.modality == modality and one.features.present[source] and one.features.present[item]:
                cosine = float(one.vectors[source].astype(np.float64) @ one.vectors[item])
                return {"modality": modality, "cosine": round(cosine, 4), "attributes": one.words(source, item)}
        return None

    def _trend(self, fact: FactId, item: int, as_of: int, without: int | None) -> Mapping[str, Any] | None:
        if not self.ledger.has_time:
            return None
        # Events at the very moment are those that are asked about.
        since, until = fact.moment - fact.days * _DAY_MS - 1, fact.moment - 1
        users = self.ledger.trend_users(item, since, until, as_of, without_user=without)
        if not users:
            return None
        rank = self.ledger.trend_rank(item, since, until, as_of, without_user=without)
        return {"users": users, "days": fact.days, "rank": rank}

    def _taken(self, item: int, as_of: int, without: int | None) -> Mapping[str, Any] | None:
        users = self.ledger.takers(item, as_of, without_user=without)
        return {"users": users} if users else None
