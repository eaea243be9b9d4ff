"""Events that come in: checked, named, made durable, and counted then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import polars as pl

from dynmm.assembly.live import follow, writable
from dynmm.assembly.logkeeping import snapshot_if_due
from dynmm.assembly.whole import whole_of
from dynmm.errors import DataError
from dynmm.interactions.columns import interaction_columns
from dynmm.interactions.fields import EVENT, ITEM, KIND, RATING, TIME, USER, WEIGHT
from dynmm.interactions.tables import as_polars
from dynmm.interactions.validation import RowRule, check_rows, interaction_rules
from dynmm.recommender import Recommender
from dynmm.stream.canonical import LONGEST_NAME
from dynmm.stream.events import Event

#: What an `Event` holds behind its id, in its order.
_VALUES = (USER, ITEM, TIME, RATING, WEIGHT, KIND)

#: Where a row stood in the table that came.
_ROW = "row"

#: Fewer rows than this may have bad clocks each for itself; half of more are in a wrong unit.
_MANY = 100


@dataclass(frozen=True)
class Learned:
    """What became of some events.

    accepted: new in the log. duplicates: were there already, and count once. left_out: rows that are not in the log, by
    reason.
    """

    accepted: int
    duplicates: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def learn_events(recommender: Recommender, events: Any, *, skip_bad: bool = False) -> Learned:
    """See `Recommender.learn`."""
    rows = list(events) if isinstance(events, Iterator | tuple) else events
    checked, left_out = _checked(as_polars(rows, "events"), timed=recommender.known.has_time, skip_bad=skip_bad)
    if not len(checked):
        return Learned(0, 0, left_out)
    with recommender.lock:
        live, windows = writable(recommender), whole_of(recommender).windows
        if windows is not None:
            windows.drift.ready()
        # After a refusal the log may hold more than it acknowledged; an append of nothing lets it look.
        live.log.append(())
        named, live.unsure = _named(checked, live.log.head, live.unsure), []
        receipts = []
        # In pieces, so that a kill in the middle of many events costs no more than between calls.
        for start in range(0, len(named), live.settings.snapshot_every):
            try:
                receipts.append(live.log.append(named[start : start + live.settings.snapshot_every]))
            except BaseException:
                live.unsure = named
                raise
            follow(recommender)
            snapshot_if_due(recommender)
    accepted, duplicates = sum(len(one.accepted) for one in receipts), sum(len(one.duplicates) for one in receipts)
    if conflicts := [event for one in receipts for event in one.conflicts]:
        raise DataError(
            f"events: the id {conflicts[0]!r} is in the log with other contents ({len(conflicts):,} such events); the "
            f"first stands, and all other events were taken in: {accepted:,} new, {duplicates:,} were there already. "
            "Give a new event a new id"
        )
    return Learned(accepted, duplicates, left_out)


def _checked(frame: pl.DataFrame, *, timed: bool, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows in the order of their times, with the ids that their producer gave them, and how many were left out.

    Raises DataError.
    """
    if not len(frame):
        return frame, {}
    needed = [USER, ITEM] + ([TIME] if timed else [])
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(f"events: column {missing[0]!r} is missing; give each event {', '.join(needed)}")
    told = [*needed, *(name for name in (RATING, WEIGHT, KIND) if name in frame.columns)]
    rows = interaction_columns(frame.select(told), "events").with_row_index(_ROW)
    if EVENT in frame.columns:
        if not (frame[EVENT].dtype == pl.String or frame[EVENT].dtype.is_integer()):
            raise DataError(f"events, column {EVENT!r}: ids are text, not {frame[EVENT].dtype}")
        rows = rows.with_columns(frame[EVENT].cast(pl.String))
    rules = [_of_a_run(rule) for rule in interaction_rules(told, need_time=timed)] + _log_rules(rows.columns)
    many = len(rows) >= _MANY
    rows, left_out = check_rows(rows, rules, "events", skip_bad=skip_bad, may_be_empty=True, one_unit=many)
    if EVENT in rows.columns and rows[EVENT].null_count():
        row = rows[_ROW][int(rows[EVENT].is_null().arg_max() or 0)]
        raise DataError(f"events, row {row}, column {EVENT!r}: is missing; give each event an id, or leave all out")
    return (rows.sort(TIME, maintain_order=True) if timed else rows), left_out


def _of_a_run(rule: RowRule) -> RowRule:
    """A rule of data sets, with a mend that can be done where a run learns: what its data has is settled."""
    mends = {
        "missing timestamp": "fill it in, for the data of this run's fit has a time for every event",
        "timestamp out of range": "write milliseconds since 1970 UTC; where the moment is not known, that of now",
    }
    return replace(rule, mend=mends.get(rule.reason, rule.mend))


def _log_rules(columns: Sequence[str]) -> list[RowRule]:
    """What the log takes besides, so that one row that it does not take need not refuse all."""
    rules = []
    for name in (one for one in (USER, ITEM, KIND, EVENT) if one in columns):
        long = pl.col(name).str.len_bytes() > LONGEST_NAME
        rules.append(RowRule(f"long {name}", name, long, f"has more than {LONGEST_NAME:,} bytes", "shorten it"))
    mends = {KIND: "write null where it is not known", EVENT: "give each event an id, or leave all out"}
    for name in (one for one in mends if one in columns):
        rules.append(RowRule(f"empty {name}", name, pl.col(name) == "", f"is no {name}", mends[name]))
    return rules


def _named(rows: pl.DataFrame, head: str, unsure: Sequence[Event]) -> list[Event]:
    """Rows as events. head: of the log that they go into. unsure: see `Live.unsure`.

    Those without an id get one from the head: a log never comes back to a head while it holds what was written behind
    it, so no such id is given twice. Places in the log are: a deletion closes them up. What is told again after a
    refusal, from its first row on, keeps the ids of then: it may be in the log.
    """
    values = [rows[name].to_list() if name in rows.columns else [None] * len(rows) for name in _VALUES]
    if EVENT in rows.columns:
        return [Event(*one) for one in zip(rows[EVENT].to_list(), *values, strict=True)]
    named = [Event(f"{head[:32]}-{row}", *one) for row, one in enumerate(zip(*values, strict=True))]
    again = list(takewhile(lambda pair: pair[1]._replace(id=pair[0].id) == pair[0], zip(unsure, named, strict=False)))
    return [then for then, _ in again] + named[len(again) :]
