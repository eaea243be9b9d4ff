"""The grounds of a claim: which facts it cites together, and the claim's own facts, made of what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dynmm.factids import FactId
from dynmm.rationale.privacy import counted
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.shown import shown_value

Stored = Mapping[str, Any]


@dataclass(frozen=True)
class Grounds:
    """Facts that one claim cites together.

    ids: at least one, in the order in which their sources are named. stored: what is stored of each.
    """

    kind: str
    ids: tuple[FactId, ...]
    stored: tuple[Stored, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Items that the claim starts from, each once."""
        return tuple(dict.fromkeys(source for fact in self.ids for source in fact.sources))


def misfit(kind: str, ids: Sequence[FactId]) -> str | None:
    """Why a claim of a kind cannot cite these facts together; None where it can.

    One fact of the claim's own kind always can. `followed` may add `together` of the same two items, of which it is a
    part. `attribute` may cite one attribute's values for several sources, if every source shares every value.
    """
    kinds = [fact.kind for fact in ids]
    if len(set(ids)) < len(ids):
        return "a fact is cited twice"
    if kinds == ["followed", "together"] and kind == "followed":
        return None if ids[0].sources == ids[1].sources else "the two facts start from different items"
    if not ids or set(kinds) != {kind}:
        return f"facts of the kind {kind}"
    if kind == "attribute":
        pairs = [(value, source) for value in _values(ids) for source in _firsts(ids)]
        cited = [(fact.value, fact.sources[0]) for fact in ids]
        return (
            None
            if len({fact.name for fact in ids}) == 1 and cited == pairs
            else "every value of one attribute, by every source"
        )
    return None if len(ids) == 1 else "one fact"


def _values(ids: Sequence[FactId]) -> list[str]:
    return list(dict.fromkeys(fact.value for fact in ids))


def _firsts(ids: Sequence[FactId]) -> list[str]:
    return list(dict.fromkeys(fact.sources[0] for fact in ids))


def claim_facts(grounds: Grounds, titles: Mapping[str, str], settings: RationaleSettings) -> dict[str, Any] | None:
    """The facts of a claim: JSON values by name, with counts as the view tells them. None where it may not.

    titles: what the sources are called. All kinds have item, sources and titles (those that the text names; `more`
    counts the others); beyond that each has what is stored of it. An attribute's values are those that are shown. A
    trend has the day up to which it counts, `until`.
    """
    sources = grounds.sources
    named = [titles[source] for source in sources[: settings.titles]]
    facts: dict[str, Any] = {"item": grounds.ids[0].item, "sources": list(sources), "titles": named}
    if len(sources) > len(named):
        facts["more"] = len(sources) - len(named)
    told = _told(grounds, settings)
    return None if told is None else {**facts, **told}


def _told(grounds: Grounds, settings: RationaleSettings) -> dict[str, Any] | None:
    first = grounds.stored[0]
    if grounds.kind == "attribute":
        values = {fact.value: stored for fact, stored in zip(grounds.ids, grounds.stored, strict=True)}
        if any(one["value"] is False for one in values.values()):
            return None
        return {
            "name": first["name"],
            "values": [shown_value(one["value"]) for one in values.values()],
            "items": [one["items"] for one in values.values()],
        }
    if grounds.kind == "alike":
        degree = likeness(first["cosine"], settings)
        exact = {"cosine": first["cosine"]} if settings.view == "operator" else {}
        held = {"modality": first["modality"], "degree": degree, "attributes": list(first["attributes"])}
        return None if degree is None else {**held, **exact}
    return _of_people(grounds, settings)


def likeness(cosine: float, settings: RationaleSettings) -> str | None:
    """A cosine in words: somewhat, plainly, much; None where there is no likeness to speak of."""
    somewhat, plainly, much = settings.alike
    if cosine < somewhat:
        return None
    return "somewhat" if cosine < plainly else "plainly" if cosine < much else "much"


def _of_people(grounds: Grounds, settings: RationaleSettings) -> dict[str, Any] | None:
    first = grounds.stored[0]
    users = counted("users", first["users"], settings)
    if users is None:
        return None
    exact = settings.view == "operator"
    facts: dict[str, Any] = {**users, **{name: first[name] for name in _PLAIN[grounds.kind]}}
    if exact:
        facts |= {name: first[name] for name in _OF_OPERATORS[grounds.kind]}
    if grounds.kind == "trend":
        # The log may end, or the item's release lie, long ago, and "the last days" are the reader's.
        facts["until"] = str(np.datetime64(grounds.ids[0].moment, "ms").astype("datetime64[D]"))
    for wider in grounds.stored[1:]:
        also = counted("together_users", wider["users"], settings)
        if also is None:
            return None
        facts |= {**also, "window": wider["window"]}
    return facts


#: What the public reads beside the count, and what the operator reads besides: both hold exact numbers of people.
_PLAIN: dict[str, tuple[str, ...]] = {
    "followed": ("within",),
    "together": ("window",),
    "union": ("window",),
    "trend": ("days",),
    "taken": (),
}
_OF_OPERATORS: dict[str, tuple[str, ...]] = {
    "followed": ("source_users",),
    "together": ("source_users",),
    "union": (),
    "trend": ("rank",),
    "taken": (),
}
