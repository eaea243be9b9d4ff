"""What the public view gives away about one person, in the way of Calandrino et al. (2011).

    python benchmarks/privacy.py --data examples/movielens --out benchmarks/results/privacy.json

An attacker who knows some items of a target asks for every public fact between these and other items, before and
after a period, and infers from the facts that rose what the target took. The bar is a gain of .02 over guessing at
k = 5 and k = 20; the operator's exact view is the contrast that shows that the attack works. The past is the first
70 % by time; without timestamps it is the first 70 % of each user, and the rest is mixed at random.

The attacker is stronger than a reader of rationales: any fact may be asked for, also about made-up histories.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dynmm import Dataset
from dynmm.evaluation.attack import AttackSettings, Past, PublicView, attack, interleaved
from dynmm.evaluation.attack_scores import FROM_TARGET, GAIN, attack_json
from dynmm.evaluation.ladder import Table
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.store import EvidenceStore
from dynmm.evidence.weighing import PairSettings
from dynmm.factids import FactId
from dynmm.rationale.grounds import Grounds, claim_facts
from dynmm.rationale.settings import RationaleSettings
from dynmm.storage import write_json
from dynmm.testing.folders import data_folders
from dynmm.types import Events

#: Data sets, and how many items of a target the attacker knows there: histories differ in length.
DATA_SETS = {"ml-latest-small": 10, "amazon14-beauty": 3}
PAST = 0.7


class Watched:
    """The log and what the store makes of it, as `evaluation.attack` asks for it."""

    def __init__(self, past: Dataset) -> None:
        self._ledger = Ledger.of(past)
        n_items = past.n_items
        self._store = EvidenceStore(
            ledger=self._ledger,
            likeness=(),
            attributes=AttributeTable.of(past.item_table),
            items=past.items,
            users=past.users,
            taken=lambda *_: frozenset(),
            titles=(None,) * n_items,
            years=(None,) * n_items,
            brands=(None,) * n_items,
            pairs=PairSettings(),
        )
        self.fact = lru_cache(maxsize=200_000)(self._fact)

    def append(self, events: Events) -> int:
        """See `attack.Log`."""
        self._ledger.append(events)
        return self._ledger.offset

    def released(self, fact: str, every: int, as_of: int) -> int:
        """The offset as of which the public reads a fact."""
        return self._store.released(FactId.parse(fact).item, every, as_of)

    def _fact(self, fact: str, as_of: int) -> Mapping[str, Any] | None:
        return self._store.fact(FactId.parse(fact), as_of)


class View:
    """What a claim about one fact says in a view."""

    def __init__(self, watched: Watched, settings: RationaleSettings) -> None:
        self._watched, self._settings = watched, settings

    def public_fact(self, fact: str, as_of: int) -> Mapping[str, Any] | None:
        """See `attack.PublicView`."""
        if self._settings.view == "public":
            as_of = self._watched.released(fact, self._settings.release_every, as_of)
        stored = self._watched.fact(fact, as_of)
        if stored is None:
            return None
        named = FactId.parse(fact)
        titles = dict(zip(named.sources, named.sources, strict=True))
        return claim_facts(Grounds(named.kind, (named,), (stored,)), titles, self._settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--periods", type=int, nargs="+", default=[1, 100, 3_000], help="events between two looks")
    parser.add_argument("--known", type=int, help="items of a target that the attacker knows")
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--release-every", type=int, help="takers between two releases of an item; as shipped")
    parser.add_argument("--k", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        data = Dataset.load(folder)
        known = arguments.known or DATA_SETS.get(folder.name, 10)
        results[data.info.name] = [
            _attacked(data, _settings(data, period, known, arguments.targets, arguments.seed), _views(arguments))
            for period in arguments.periods
        ]
    if arguments.out is not None and results:
        write_json(arguments.out, {"date": datetime.date.today().isoformat(), "data": results})


def _settings(data: Dataset, period: int, known: int, targets: int, seed: int) -> AttackSettings:
    """Several targets in a period where the stream has too few periods for one each."""
    stream = int((1 - PAST) * len(data.events))
    together = max(1, targets * period // max(stream, 1))
    return AttackSettings(known=known, period=period, targets=targets, together=together, taken=5, others=10, seed=seed)


def _views(arguments: argparse.Namespace) -> dict[str, RationaleSettings]:
    every = {} if arguments.release_every is None else {"release_every": arguments.release_every}
    told = {f"public k={k}": RationaleSettings(k=k, **every) for k in arguments.k}
    return {"operator": RationaleSettings(view="operator"), **told}


def _attacked(data: Dataset, settings: AttackSettings, told_to: Mapping[str, RationaleSettings]) -> dict[str, Any]:
    past, stream = _parted(data, settings.seed)
    watched = Watched(past)
    views: dict[str, PublicView] = {name: View(watched, one) for name, one in told_to.items()}

    def told(done: float) -> None:
        print(f"\r{data.info.name}, period {settings.period:,}: {done:4.0%}", end="", file=sys.stderr, flush=True)

    found = attack(watched, views, Past(past.events, past.items), stream, settings, progress=told)
    print(file=sys.stderr)
    result = attack_json(found)
    print(f"\n{data.info.name}: {settings.known} items known, {settings.period:,} events between two looks")
    print(_table(result).to_text())
    return {"settings": settings.model_dump(), "views": result}


def _parted(data: Dataset, seed: int) -> tuple[Dataset, Events]:
    if data.has_time:
        order = data.in_time_order()
        late = order[int(PAST * len(order)) :]
    else:
        late = interleaved(data.offsets, 1 - PAST, seed)
    early = np.ones(len(data.events), bool)
    early[late] = False
    return data.keep(early), data.events.take(late)


def _table(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, one in result.items():
        gains = [f"{one[key]['mean']:+.3f} [{one[key]['ci95'][0]:+.3f}, {one[key]['ci95'][1]:+.3f}]" for key in _GAINS]
        right = one["names"]["right"]
        sure = f"{one['names']['share']:.1%}" + ("" if right is None else f", {right:.0%} right")
        bar = "within, shown" if one["shown"] else "within" if one["reached"] else "above"
        rows.append((name, str(one["attacks"]), str(one["targets"]), *gains, sure, f"{bar} {one['bar']:g}"))
    return Table(("view", "items", "people", *_GAINS, "names one item", "bar"), tuple(rows))


_GAINS = (GAIN, FROM_TARGET)


if __name__ == "__main__":
    main()
