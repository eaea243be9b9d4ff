"""Explanations made by hand, and a data set's words, for the tests of rationales."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dynmm.factids import FactId
from dynmm.interactions.dataset import DatasetInfo
from dynmm.rationale.settings import RationaleSettings
from dynmm.testing.facts import LoggedFacts
from dynmm.types import Evidence, Explained, Rationale

FILMS = DatasetInfo(noun="film", verb="watched")
OPERATOR = RationaleSettings(view="operator")
PUBLIC = RationaleSettings(view="public")


class Told:
    """A store that holds what it is told: facts by id, titles, and that everyone took everything."""

    def __init__(
        self,
        facts: Mapping[str, Mapping[str, Any]],
        titles: Mapping[str, str | None] | None = None,
        about: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.facts = dict(facts)
        named = {"a": "Gravity", "b": "Interstellar", "c": "Moon", "d": "Solaris", "i": "Arrival"}
        self.titles: dict[str, str | None] = {**named, **(titles or {})}
        self.known = about or {}
        self.offset, self.n_items = 100, 1_000

    def fact(self, fact: FactId, as_of: int, user: str | None = None) -> Mapping[str, Any] | None:
        return self.facts.get(fact.text)

    def released(self, item: str, every: int, as_of: int | None = None) -> int:
        return self.offset if as_of is None else as_of

    def moment(self, as_of: int) -> int | None:
        return NOW

    def has(self, user: str, item: str, as_of: int) -> bool | None:
        return True

    def title(self, item: str) -> str | None:
        return self.titles.get(item)

    def about(self, item: str) -> Mapping[str, Any] | None:
        return self.known.get(item, {})


def explained(
    store: Told, contributions: Mapping[str, float] | None = None, *, latent: float = 0.0, rest: float = 0.0
) -> Explained:
    """The score of item i, made of all that the store holds; contributions are 1 unless given."""
    facts = [FactId.parse(text) for text in store.facts]
    evidence = tuple(
        Evidence(
            one.text, one.kind, one.item, one.sources, store.facts[one.text], (contributions or {}).get(one.text, 1.0)
        )
        for one in facts
    )
    term = sum(one.contribution for one in evidence) + rest
    return Explained("i", latent + term, 1, {"latent": latent, "evidence": term}, evidence, rest, 100)


def as_json(rationale: Rationale) -> dict[str, Any]:
    """As it is read from a file."""
    read: dict[str, Any] = json.loads(json.dumps(rationale.as_json()))
    return read


def questions(world: LoggedFacts, users: int, items: int) -> Sequence[tuple[str, str]]:
    """The first users, each with the first items that they have not taken."""
    return [
        (user, item)
        for user in world.users[:users]
        for item in [one for one in world.items if not world.has(user, one, world.offset)][:items]
    ]


FOLLOWED = {"users": 231, "within": 3, "source_users": 1204}
TOGETHER = {"users": 500, "window": 50, "source_users": 1204}
UNION = {"users": 31, "window": 50}
DRAMA = {"name": "categories", "value": "Drama", "items": 60}
LOOKS = {"modality": "image", "cosine": 0.8312, "attributes": ["dark", "plain", "wide", "empty"]}

#: Up to when the store of `Told` knows events, ms UTC.
NOW = 1500
TREND = {"users": 40, "days": 7, "rank": 3}
