"""k-core: the largest part of a data set where every user and every item has at least k events."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.errors import EmptyDataError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import ITEM
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.types import BoolArray

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KCoreReport:
    """What a k-core removed. rounds: how often users and items were counted until nothing changed."""

    k: int
    rounds: int
    users: int
    items: int
    events: int

    def __str__(self) -> str:
        return (
            f"{self.k}-core: removed {self.users:,} users, {self.items:,} items and {self.events:,} events "
            f"in {self.rounds} rounds"
        )


def k_core(dataset: Dataset, k: int) -> tuple[Dataset, KCoreReport]:
    """The k-core and what it removed. Users and items that fall out leave the vocabularies as well.

    k: 0 changes nothing; 1 removes items without events. Repeated events count each time. Raises
    EmptyDataError where nothing is left.
    """
    if k <= 0:
        return dataset, KCoreReport(k, 0, 0, 0, 0)
    kept, rounds = _core_rows(dataset, k)
    if not kept.any():
        raise EmptyDataError(
            f"the {k}-core of {dataset.info.name!r} is empty: no set of users and items has {k} events each; "
            "ask for a smaller k (split.k_core, 0 for none)"
        )
    core = _shrunk(dataset, kept)
    report = KCoreReport(
        k,
        rounds,
        dataset.n_users - core.n_users,
        dataset.n_items - core.n_items,
        len(dataset.events) - len(core.events),
    )
    if report.events:
        core = replace(core, left_out={**dataset.left_out, f"outside the {k}-core": report.events})
    log.info("%s: %s", dataset.info.name, report)
    return core, report


def _core_rows(dataset: Dataset, k: int) -> tuple[BoolArray, int]:
    users, items = dataset.events.users, dataset.events.items
    rows = np.arange(len(users))
    rounds = 0
    while True:
        rounds += 1
        user_counts = np.bincount(users[rows], minlength=dataset.n_users)
        item_counts = np.bincount(items[rows], minlength=dataset.n_items)
        stays = (user_counts[users[rows]] >= k) & (item_counts[items[rows]] >= k)
        if stays.all():
            break
        rows = rows[stays]
    kept = np.zeros(len(users), bool)
    kept[rows] = True
    return kept, rounds


def _shrunk(dataset: Dataset, kept: BoolArray) -> Dataset:
    events = dataset.events.take(kept)
    has_user = np.bincount(events.users, minlength=dataset.n_users) > 0
    has_item = np.bincount(events.items, minlength=dataset.n_items) > 0
    users, items = _renumbered(has_user)[events.users], _renumbered(has_item)[events.items]
    table = dataset.item_table.filter(pl.Series(has_item))
    counts = np.bincount(users)
    media = dataset.media
    return replace(
        dataset,
        users=Vocabulary(_chosen(dataset.users, has_user)),
        items=Vocabulary(_chosen(dataset.items, has_item)),
        events=replace(events, users=users, items=items),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_table=table,
        given_split=None if dataset.given_split is None else dataset.given_split[kept],
        validation=None,
        media=None if media is None else media.join(table.select(ITEM), on=ITEM, how="semi", maintain_order="left"),
    )


def _renumbered(present: BoolArray) -> NDArray[np.int32]:
    return (np.cumsum(present) - 1).astype(np.int32)


def _chosen(vocabulary: Vocabulary, present: BoolArray) -> list[str]:
    return [vocabulary.ids[dense] for dense in np.flatnonzero(present).tolist()]
