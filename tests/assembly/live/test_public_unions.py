"""What a union is made of: for the public nothing newer than the release, and for nobody what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds import DAY, START

from dynmm import Recommender
from dynmm.assembly import store_of
from dynmm.errors import UnsupportedByData
from dynmm.factids import FactId
from dynmm.types import Explained

USERS = [f"u{user}" for user in range(0, 60, 4)]


def _unions(explained: Explained) -> list[str]:
    return [fact.id for fact in explained.evidence if fact.kind == "union"]


def _pairs(named: list[tuple[str, str]], start: int) -> list[dict[str, object]]:
    """Somebody new for each pair of a source and an item, who takes one after the other."""
    moment = START + 100 * DAY
    return [
        {"user_id": f"new{n}", "item_id": item, "timestamp": moment + (2 * n + row) * 60_000}
        for n, pair in enumerate(named, start)
        for row, item in enumerate(pair)
    ]


def test_one_person_changes_no_public_union_between_releases(run: Path) -> None:
    """Neither the first who took a source with the item, nor the one who makes them k."""
    changed = compared = 0
    with Recommender.from_pretrained(run) as recommender:
        recommender.learn(_pairs([("i0", "i15")], 0))
        store, count = store_of(recommender), 1
        for user in USERS:
            item = next(one.item for one in recommender.recommend(user, 12)[6:])
            before = recommender.explain(user, item, view="public").explained
            exact = _unions(recommender.explain(user, item, view="operator").explained)
            few = []
            for source in recommender.history(user):
                fact = store.fact(FactId("together", item, (source,)), before.as_of_offset, user)
                few += [(source, item)] if fact is None or fact["users"] == 4 else []
            recommender.learn(_pairs(few, count))
            count += len(few)
            after = recommender.explain(user, item, view="public").explained
            if few and after.as_of_offset == before.as_of_offset:
                assert _unions(after) == _unions(before)
                compared += 1
                changed += exact != _unions(recommender.explain(user, item, view="operator").explained)
    assert compared
    assert changed, "the operator reads what is new"


def test_a_public_union_follows_from_the_history_alone(run: Path) -> None:
    """It names whom nobody stood behind as it names whom one person did, in the order in which they were taken."""
    lone = set()
    with Recommender.from_pretrained(run) as recommender:
        store = store_of(recommender)
        for user in USERS:
            history = list(dict.fromkeys(reversed(recommender.history(user))))
            for one in recommender.recommend(user, 30, explain=True, view="public"):
                assert one.explained is not None
                facts = [store.fact(FactId("together", one.item, (it,)), store.offset, user) for it in history]
                behind = {it: fact["users"] if fact else 0 for it, fact in zip(history, facts, strict=True)}
                for union in _unions(one.explained):
                    assert _sources([union]) == [it for it in history if behind[it] < 5][:20]
                    lone |= {behind[it] for it in _sources([union])}
    assert {0, 1} <= lone


def _sources(unions: list[str]) -> list[str]:
    return [source for union in unions for source in FactId.parse(union).sources]


def test_the_public_names_no_union_but_its_own(run: Path) -> None:
    """Whether one that is made up is refused would tell if k people stand behind it."""
    refused: list[str] = []
    with Recommender.from_pretrained(run) as recommender:
        store, named = store_of(recommender), 0
        for user in USERS:
            history, had = recommender.history(user), set(recommender.history(user))
            for one in recommender.recommend(user, 30, explain=True, view="public"):
                assert one.explained is not None
                own, others = _unions(one.explained), [it for it in recommender.items.ids if it not in had]
                unions = [tuple(_sources([union])) for union in own]
                for other in [
                    *(union[:-1] for union in unions),
                    *((*union, others[0]) for union in unions),
                    *(tuple(reversed(union)) for union in unions),
                    (*history, others[0]),
                    tuple(history[:2]),
                    tuple(others[:6]),
                ]:
                    if one.item not in other and (it := FactId("union", one.item, other).text) not in own:
                        with pytest.raises(UnsupportedByData, match="cannot be named in the public view"):
                            recommender.explain(user, one.item, without=[it], view="public")
                        refused.append(it)
                for union in own:
                    assert recommender.explain(user, one.item, without=[union], view="public").what_if is not None
                    named += 1
            with pytest.raises(UnsupportedByData, match="cannot be named"):
                recommender.recommend(user, without=[refused[-1]], view="public")
            told = recommender.recommend(user, 1, explain=True, view="public")[0].rationale
            assert told is not None
            with pytest.raises(UnsupportedByData, match="cannot be named"):
                recommender.verify(told, without=[refused[-1]])
        told_of = [store.fact(FactId.parse(union), store.offset) for union in refused]
    assert named
    assert {fact is not None and fact["users"] >= 6 for fact in told_of} == {True, False}


def test_the_public_names_facts_of_its_own_history(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        store, user = store_of(recommender), "u0"
        had, item = set(recommender.history(user)), recommender.recommend(user, 1)[0].item
        strange = [it for it in recommender.items.ids if it not in had and it != item]
        pairs = {it: store.fact(FactId("together", item, (it,)), store.offset, user) for it in strange}
        many = next(it for it, fact in pairs.items() if fact is not None and fact["users"] >= 5)
        with pytest.raises(UnsupportedByData, match="of your own history"):
            recommender.explain(user, item, without=[FactId("together", item, (many,)).text], view="public")


def test_an_item_whose_pair_is_left_out_is_in_no_union(run: Path) -> None:
    with Recommender.from_pretrained(run) as recommender:
        user, item, lone = next(_strangers(recommender))
        recommender.learn(_pairs([(source, item) for source in lone], 0))
        explained = recommender.explain(user, item, view="operator").explained
        assert set(lone) <= set(_sources(_unions(explained)))
        gone = FactId("together", item, (lone[0],)).text
        what_if = recommender.explain(user, item, without=[gone], view="operator").what_if
    assert what_if is not None
    assert set(_sources(_unions(what_if.after))) == set(_sources(_unions(explained))) - {lone[0]}


def _strangers(recommender: Recommender) -> Iterator[tuple[str, str, list[str]]]:
    """A user, an item, and the newest of the history that nobody took with it."""
    store = store_of(recommender)
    for user in USERS:
        history = recommender.history(user)
        for one in recommender.recommend(user, 12):
            pairs = {source: FactId("together", one.item, (source,)) for source in reversed(history)}
            lone = [source for source, pair in pairs.items() if store.fact(pair, store.offset, user) is None]
            if len(lone) > 3:
                yield user, one.item, lone[:3]
