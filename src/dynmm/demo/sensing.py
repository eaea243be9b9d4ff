"""A recommendation that a picture or a sound explains: found by taking it away and ranking again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from dynmm.assembly.whole import Whole, whole_of
from dynmm.catalogue.content import Modality
from dynmm.catalogue.corruption import drop
from dynmm.recommender import Recommender
from dynmm.retrieval.similar import shared_attributes
from dynmm.system import PADDING, Query
from dynmm.types import FloatArray, IntArray

#: Looked at are the first so many recommendations of each user. One is owed to its picture if without the
#: picture it leaves the first ten, and without each other modality alone it stays among them.
FIRST, STAYS = 5, 10
#: Users that are looked at, evenly spread over all.
USERS = 500

#: (user, item), ids as outside.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """One recommendation that is owed to one modality.

    place: with everything, 1 is first. without: its place where the item alone lacks a modality, by modality.
    like: the item of the user's history that is most like it by this modality. words: named attributes that
    hold for both, strongest first; none where the encoder names none.
    """

    modality: Modality
    user: str
    item: str
    place: int
    without: Mapping[Modality, int]
    like: str | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """What was looked at for one modality.

    looked: recommendations as (user, item), of so many users. owed: those that the modality explains. case: the
    clearest of them, whose score falls furthest beyond what taking away anything else does. among: out of so many
    items that came after the fit, None for the whole catalogue.
    """

    modality: Modality
    users: int
    looked: Sequence[Pair]
    owed: Sequence[Pair]
    case: Case | None
    among: int | None = None


def search(recommender: Recommender, wanted: Sequence[Modality], among: Sequence[str] | None = None) -> list[Search]:
    """One search for each wanted modality that the run knows; none without a joint stage.

    among: items that came after the fit, to recommend from them alone; None for the whole catalogue.
    """
    whole = whole_of(recommender)
    names = [one.modality for one in whole.features]
    if not set(names) & set(wanted):
        return []
    candidates = None
    if among is not None:
        candidates = np.unique([recommender.items.encode(one, what="item") for one in among]).astype(np.int32)
    listed = _listed(recommender, _some(recommender), candidates)
    for name in names:
        _look_without(name, whole, listed)
    found = [_searched(recommender, name, listed) for name in wanted if name in names]
    return found if candidates is None else [replace(one, among=len(candidates)) for one in found]


@dataclass(frozen=True, eq=False)
class _Listed:
    """A user's first recommendations. scores: (I,), -inf for what is no candidate. items: (K,) dense.

    without: by modality, the scores (K,) that the items would have if they lacked it, each by itself.
    """

    user: str
    query: Query
    scores: FloatArray
    items: IntArray
    without: dict[Modality, FloatArray] = field(default_factory=dict)

    def place(self, item: int, score: float) -> int:
        """Where the item would stand if it had this score; a tie counts against it."""
        return 1 + int((np.delete(self.scores, item) >= score).sum())


def _listed(recommender: Recommender, users: Sequence[str], candidates: IntArray | None) -> list[_Listed]:
    """What every stage together recommends, searched exactly."""
    whole, known = whole_of(recommender), recommender.known
    exact = whole.with_features(whole.features)
    times = known.events.timestamps
    now = None if times is None or not len(times) else int(times.max())
    found = []
    for user in users:
        history = known.history(known.users.encode(user, what="user"))
        query = Query(history, now, candidates=candidates, exclude=np.unique(history.items))
        ranked = exact.rank([query], len(recommender.items))
        items = ranked.items[0][ranked.items[0] != PADDING]
        scores = np.full(len(recommender.items), -np.inf, dtype=np.float32)
        scores[items] = ranked.scores[0][: len(items)]
        found.append(_Listed(user, query, scores, items[:FIRST]))
    return found


def _look_without(modality: Modality, whole: Whole, listed: Sequence[_Listed]) -> None:
    """Score what was listed as if each item by itself lacked a modality: its latent and the facts that speak for it.

    The history is read as it is, so the user's vector stays.
    """
    lacking = whole.with_features(drop(whole.features, modality))
    vectors = _plain(lacking.space.item_vectors)
    for one in listed:
        user = _plain(whole.space.user_vectors([one.query.history]))[0]
        scores = vectors[one.items] @ user
        if lacking.evidence is not None:
            scores = scores + lacking.evidence.on(one.query, one.items)
        one.without[modality] = scores


def _some(recommender: Recommender) -> list[str]:
    users = [user for user in recommender.known.users.ids if recommender.history(user)]
    places = np.linspace(0, len(users) - 1, min(USERS, len(users))).astype(int)
    return [users[place] for place in places.tolist()]


def _searched(recommender: Recommender, modality: Modality, listed: Sequence[_Listed]) -> Search:
    owed: list[Pair] = []
    clearest, case = -np.inf, None
    for one in listed:
        for at, item in enumerate(one.items.tolist()):
            scores = {name: float(values[at]) for name, values in one.without.items()}
            without = {name: one.place(item, score) for name, score in scores.items()}
            if without[modality] <= STAYS or any(place > STAYS for name, place in without.items() if name != modality):
                continue
            owed.append((one.user, recommender.items.decode(item)))
            # How much further it falls than without anything else: places differ in worth along a list.
            clear = min((score for name, score in scores.items() if name != modality), default=0.0) - scores[modality]
            if clear > clearest:
                clearest, case = clear, (one, item, without)
    looked = [(one.user, recommender.items.decode(item)) for one in listed for item in one.items.tolist()]
    told = None if case is None else _case(recommender, modality, *case)
    return Search(modality, len(listed), looked, owed, told)


def _case(
    recommender: Recommender, modality: Modality, listed: _Listed, item: int, without: Mapping[Modality, int]
) -> Case:
    name = recommender.items.decode(item)
    like = _most_alike(recommender, modality, name, listed.user)
    words: tuple[str, ...] = ()
    if like is not None:
        named = [
            one.attributes for one in whole_of(recommender).features if one.modality == modality and one.attributes
        ]
        words = shared_attributes(item, recommender.items.encode(like, what="item"), named)
    place = listed.place(item, float(listed.scores[item]))
    return Case(modality, listed.user, name, place, without, like, words)


def _most_alike(recommender: Recommender, modality: Modality, item: str, user: str) -> str | None:
    """The item of the history whose likeness to this one this modality adds most to; None where it adds to none."""
    had = set(recommender.history(user))
    alike = [one for one in recommender.similar(item, len(recommender.items)) if one.item in had]
    best = max(alike, key=lambda one: one.parts.get(modality, 0.0), default=None)
    return best.item if best is not None and best.parts.get(modality, 0.0) > 0 else None


def _plain(values: Tensor) -> FloatArray:
    found: FloatArray = values.cpu().numpy()
    return found
