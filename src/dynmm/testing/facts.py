"""A store of facts in memory, which counts by plain loops over its log, and a small world of facts to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dynmm.errors import DataError
from dynmm.factids import FactId, value_text
from dynmm.types import Evidence, Explained

WITHIN, WINDOW, DAY_MS = 3, 50, 86_400_000


class LoggedFacts:
    """The protocol `FactStore`, as simply as it can be written.

    events: (user, item) in the order of the log, one an hour. items: what is known of each: `title`, `year`, `brand`,
    `categories` and any other attribute, one value or several. likenesses: (modality, item, item) to the cosine and
    the words that hold for both, either order. fitted: events of the fit, the first offset that can be asked about.
    """

    def __init__(
        self,
        events: Sequence[tuple[str, str]],
        items: Mapping[str, Mapping[str, Any]],
        likenesses: Mapping[tuple[str, str, str], tuple[float, Sequence[str]]] | None = None,
        fitted: int = 0,
    ) -> None:
        self.events, self.items, self.fitted = list(events), dict(items), fitted
        self.likenesses = dict(likenesses or {})
        self._histories: dict[tuple[int, int], dict[str, list[str]]] = {}

    @property
    def offset(self) -> int:
        return len(self.events)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def users(self) -> list[str]:
        """Everyone in the log, by id."""
        return sorted({user for user, _ in self.events})

    def title(self, item: str) -> str | None:
        return self.items.get(item, {}).get("title")

    def about(self, item: str) -> Mapping[str, Any] | None:
        known = self.items.get(item)
        return None if known is None else {name: known[name] for name in ("year", "brand") if known.get(name)}

    def histories(self, as_of: int) -> dict[str, list[str]]:
        """Each user's items, oldest first."""
        moment = (as_of, len(self.events))
        if moment not in self._histories:
            found: dict[str, list[str]] = {user: [] for user, _ in self.events}
            for user, item in self.events[:as_of]:
                found[user].append(item)
            self._histories[moment] = found
        return self._histories[moment]

    def released(self, item: str, every: int, as_of: int | None = None) -> int:
        """Every offset is a release in here."""
        return self.offset if as_of is None else as_of

    def moment(self, as_of: int) -> int | None:
        return moment(as_of - 1)

    def has(self, user: str, item: str, as_of: int) -> bool | None:
        histories = self.histories(as_of)
        return item in histories[user] if user in histories else None

    def fact(self, fact: FactId, as_of: int, user: str | None = None) -> Mapping[str, Any] | None:
        if not self.fitted <= as_of <= self.offset:
            raise DataError(f"the log can be read from offset {self.fitted} to {self.offset}, not as of {as_of}")
        if fact.item not in self.items or not set(fact.sources) <= set(self.items):
            return None
        if fact.kind in ("followed", "together", "union"):
            return self._pairs(fact, as_of, user)
        if fact.kind == "attribute":
            return self._attribute(fact)
        if fact.kind == "taken":
            users = len({one for one, item in self.events[:as_of] if item == fact.item and one != user})
            return {"users": users} if users else None
        return self._alike(fact) if fact.kind == "alike" else self._trend(fact, as_of, user)

    def _pairs(self, fact: FactId, as_of: int, asking: str | None) -> dict[str, Any] | None:
        histories = self.histories(as_of)
        ordered = fact.kind == "followed"
        users = [
            user
            for user, history in histories.items()
            if user != asking and any(_near(history, source, fact.item, ordered) for source in fact.sources)
        ]
        if not users:
            return None
        facts: dict[str, Any] = {"users": len(users), **({"within": WITHIN} if ordered else {"window": WINDOW})}
        if fact.kind != "union":
            facts["source_users"] = sum(
                fact.sources[0] in history for user, history in histories.items() if user != asking
            )
        return facts

    def values(self, item: str, name: str) -> list[Any]:
        """The values of an item's attribute."""
        known = self.items[item].get(name)
        if known is None:
            return []
        return list(known) if isinstance(known, list | tuple) else [known]

    def _attribute(self, fact: FactId) -> dict[str, Any] | None:
        holders = {
            item: value
            for item in self.items
            for value in self.values(item, fact.name)
            if value_text(value) == fact.value
        }
        if fact.name == "title" or not {fact.item, *fact.sources} <= holders.keys():
            return None
        return {"name": fact.name, "value": holders[fact.item], "items": len(holders)}

    def _alike(self, fact: FactId) -> dict[str, Any] | None:
        known = self.likenesses.get((fact.name, fact.sources[0], fact.item))
        known = known or self.likenesses.get((fact.name, fact.item, fact.sources[0]))
        return None if known is None else {"modality": fact.name, "cosine": known[0], "attributes": list(known[1])}

    def _trend(self, fact: FactId, as_of: int, asking: str | None) -> dict[str, Any] | None:
        takers: dict[str, set[str]] = {item: set() for item in self.items}
        for place, (user, item) in enumerate(self.events[:as_of]):
            if user != asking and fact.moment - fact.days * DAY_MS < moment(place) <= fact.moment:
                takers[item].add(user)
        users = len(takers[fact.item])
        rank = 1 + sum(len(others) > users for others in takers.values())
        return {"users": users, "days": fact.days, "rank": rank} if users else None

    def evidence(self, user: str, item: str, as_of: int | None = None) -> tuple[Evidence, ...]:
        """Every fact that starts from a user's history, with contributions made up of the facts, strongest first."""
        as_of = self.offset if as_of is None else as_of
        sources = [one for one in dict.fromkeys(reversed(self.histories(as_of)[user])) if one != item]
        ids = [FactId(kind, item, (source,)) for source in sources for kind in ("followed", "together")]
        ids += [FactId("union", item, tuple(sources))] if len(sources) > 1 else []
        names = {name for known in self.items.values() for name in known if name != "title"}
        for source in sources:
            shared = [(name, value) for name in sorted(names) for value in self.values(source, name)]
            ids += [FactId.attribute(name, value, source, item) for name, value in shared]
            ids += [FactId("alike", item, (source,), modality) for modality in ("audio", "image", "text")]
        ids += [FactId.trend(2, moment(as_of - 1), item), FactId("taken", item)]
        found = [(one, self.fact(one, as_of, user)) for one in ids]
        made = [
            Evidence(one.text, one.kind, item, one.sources, facts, contribution(one, facts))
            for one, facts in found
            if facts
        ]
        return tuple(sorted(made, key=lambda one: (-one.contribution, one.id)))

    def explained(self, user: str, item: str, as_of: int | None = None, latent: float = 0.5) -> Explained:
        """An item's score for a user, made of its evidence and a latent part."""
        evidence = self.evidence(user, item, as_of)
        term = sum(one.contribution for one in evidence)
        as_of = self.offset if as_of is None else as_of
        return Explained(item, latent + term, 1, {"latent": latent, "evidence": term}, evidence, 0.0, as_of)


def contribution(fact: FactId, facts: Mapping[str, Any]) -> float:
    """A made-up weight of a fact: none for a union, whose pairs carry it."""
    match fact.kind:
        case "followed" | "together":
            return float(facts["users"]) / (3.0 + float(facts["source_users"]))
        case "attribute":
            return 0.5 / float(facts["items"])
        case "alike":
            return 0.3 * float(facts["cosine"])
        case "trend":
            return 0.02 * float(facts["users"])
        case "taken":
            return 0.01 * float(facts["users"])
    return 0.0


def moment(place: int) -> int:
    """When the event at a place of the log happened, ms UTC."""
    return 1_600_000_000_000 + place * 3_600_000


def _near(history: Sequence[str], source: str, item: str, ordered: bool) -> bool:
    if source not in history or item not in history:
        return False
    firsts = [place for place, one in enumerate(history) if one == source]
    seconds = [place for place, one in enumerate(history) if one == item]
    if ordered:
        return any(0 < second - first <= WITHIN for first in firsts for second in seconds)
    return any(0 < abs(second - first) <= WINDOW for first in firsts for second in seconds)


def fact_world(seed: int = 0, *, users: int = 40, items: int = 24, titles: Sequence[str] = ()) -> LoggedFacts:
    """A small world: groups of items that people take one after the other, with attributes and likenesses.

    titles: of the first items; the others are called "Story 7". Every third item has a year, each a brand of four.
    """
    rng = np.random.default_rng(seed)
    known: dict[str, dict[str, Any]] = {}
    for place in range(items):
        title = titles[place] if place < len(titles) else f"Story {place}"
        group = place % 6
        known[f"i{place}"] = {
            "title": title,
            "year": 1990 + place if place % 3 == 0 else 1990 + group,
            "brand": f"Maker {group}",
            "categories": [f"kind {group}", f"mood {place % 5}"],
            "lead_actor": f"Player {place % 7}",
        }
    events: list[tuple[str, str]] = []
    for turn in range(6):
        for user in range(users):
            group = (user + (rng.random() < 0.2)) % 6
            item = group + 6 * int(rng.integers(items // 6)) if rng.random() < 0.8 else int(rng.integers(items))
            events.append((f"u{user}", f"i{(item + turn) % items}"))
    likenesses = {}
    for one in range(items):
        for other in range(one + 1, items):
            words = [word for word in ("dark", "plain", "fast") if rng.random() < 0.4]
            modality = ("image", "audio", "text", "smell")[int(rng.integers(4))]
            likenesses[modality, f"i{one}", f"i{other}"] = (round(float(rng.uniform(-0.2, 1.0)), 4), words)
    return LoggedFacts(events, known, likenesses, fitted=len(events) // 2)
