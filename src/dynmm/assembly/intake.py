"""Events that come in: checked, named, made durable, and counted then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from dynmm.assembly.live import follow, writable
from dynmm.assembly.logkeeping import snapshot_if_due
from dynmm.errors import DataError
from dynmm.interactions.columns import interaction_columns
from dynmm.interactions.fields import EVENT, ITEM, TIME, USER
from dynmm.interactions.tables import as_polars
from dynmm.interactions.validation import check_rows, interaction_rules
from dynmm.recommender import Recommender
from dynmm.stream.events import Event


@dataclass(frozen=True)
class Learned:
    """What became of some events. accepted: new in the log. duplicates: were there already, and count once."""

    accepted: int
    duplicates: int


def learn_events(recommender: Recommender, events: Any) -> Learned:
    """See `Recommender.learn`."""
    rows = list(events) if isinstance(events, Iterator | tuple) else events
    checked = _checked(as_polars(rows, "events"), timed=recommender.known.has_time)
    if not len(checked):
        return Learned(0, 0)
    with recommender.lock:
        log = writable(recommender).log
        receipt = log.append(_named(checked, log.head))
        follow(recommender)
        snapshot_if_due(recommender)
    if receipt.conflicts:
        raise DataError(
            f"events: the id {receipt.conflicts[0]!r} is in the log with other contents ({len(receipt.conflicts):,} "
            "such events); the first stands, and all other events were taken in. Give a new event a new id"
        )
    return Learned(len(receipt.accepted), len(receipt.duplicates))


def _checked(frame: pl.DataFrame, *, timed: bool) -> pl.DataFrame:
    """Rows in the order of their times, with the ids that their producer gave them. Raises DataError."""
    if not len(frame):
        return frame
    needed = [USER, ITEM] + ([TIME] if timed else [])
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(f"events: column {missing[0]!r} is missing; give each event {', '.join(needed)}")
    rows = interaction_columns(frame.select(needed), "events")
    check_rows(rows, interaction_rules(needed, need_time=timed), "events", skip_bad=False)
    if EVENT in frame.columns:
        ids = frame[EVENT].cast(pl.String)
        if ids.null_count():
            row = int(ids.is_null().arg_max() or 0)
            raise DataError(f"events, row {row}, column {EVENT!r}: is missing; give each event an id, or leave all out")
        rows = rows.with_columns(ids)
    return rows.sort(TIME, maintain_order=True) if timed else rows


def _named(rows: pl.DataFrame, head: str) -> list[Event]:
    """Rows as events. head: of the log that they go into.

    Those without an id get one from the head: a log never comes back to a head while it holds what was written behind
    it, so no such id is given twice. Places in the log are: a deletion closes them up.
    """
    ids = rows[EVENT].to_list() if EVENT in rows.columns else [f"{head[:32]}-{row}" for row in range(len(rows))]
    times = rows[TIME].to_list() if TIME in rows.columns else [None] * len(rows)
    told = zip(ids, rows[USER].to_list(), rows[ITEM].to_list(), times, strict=True)
    return [Event(*one) for one in told]
