"""Rows at the door: rules that every interaction keeps, with what is wrong and the mend for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.fields import ITEM, POSITION, RATING, SPLIT, TIME, USER, WEIGHT

#: Milliseconds UTC of 1971-01-01 and 2200-01-01. Seconds read as milliseconds fall before, micro- and
#: nanoseconds after.
EARLIEST_MS = 31_536_000_000
LATEST_MS = 7_258_118_400_000

#: Words that data sets use for the parts of their own split, and ours.
SPLIT_WORDS = {
    "train": "train",
    "trn": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "tst": "test",
}


@dataclass(frozen=True)
class RowRule:
    """Rows where `bad` holds are wrong. `reason` counts them in `left_out` where they are skipped."""

    reason: str
    column: str
    bad: pl.Expr
    problem: str
    mend: str


def interaction_rules(columns: Sequence[str], *, need_time: bool) -> list[RowRule]:
    """The rules for a frame with these columns. need_time: the data set says that every row has a timestamp."""
    rules = []
    for name in (USER, ITEM):
        empty = pl.col(name).is_null() | (pl.col(name).str.strip_chars() == "")
        rules.append(RowRule(f"empty {name}", name, empty, "is no id", "fill it in or remove the row"))
    for name in (RATING, WEIGHT):
        if name in columns:
            mend = "write a number, or null where it is not known"
            rules.append(RowRule(f"non-finite {name}", name, ~pl.col(name).is_finite(), "is not a finite number", mend))
    if WEIGHT in columns:
        mend = "a weight, which is kept and read by nothing yet, is how much an event counts: write 0 or more"
        rules.append(RowRule("negative weight", WEIGHT, pl.col(WEIGHT) < 0, "is below zero", mend))
    if POSITION in columns:
        mend = "positions are 0 for a user's first event and go up"
        rules.append(RowRule("negative position", POSITION, pl.col(POSITION) < 0, "is below zero", mend))
    if SPLIT in columns:
        known = pl.col(SPLIT).str.to_lowercase().is_in(list(SPLIT_WORDS))
        mend = "use train, val or test"
        rules.append(RowRule("unknown split", SPLIT, known.not_().fill_null(True), "is no part of a split", mend))
    return rules + _time_rules(columns, need_time)


def _time_rules(columns: Sequence[str], need_time: bool) -> list[RowRule]:
    if TIME not in columns:
        return []
    outside = ~pl.col(TIME).is_between(EARLIEST_MS, LATEST_MS, closed="left")
    mend = "write milliseconds since 1970 UTC; where only the order is known, write 'position', and null here"
    rules = [RowRule("timestamp out of range", TIME, outside, "is not between the years 1971 and 2200", mend)]
    if need_time:
        mend = "fill it in, or say time_resolution 'partial'"
        missing = RowRule("missing timestamp", TIME, pl.col(TIME).is_null(), "is missing but every row needs one", mend)
        rules.append(missing)
    return rules


def check_rows(
    frame: pl.DataFrame,
    rules: Sequence[RowRule],
    where: str,
    *,
    skip_bad: bool,
    may_be_empty: bool = False,
    one_unit: bool = True,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The frame without bad rows, and how many were left out for each reason.

    Raises DataError for the first bad row, unless `skip_bad`; for a column of times in a wrong unit, `skip_bad` or not,
    unless `one_unit` is False: a few rows tell of no unit, so that they can be skipped, and are refused as a column
    only where they look like one; EmptyDataError where nothing is left, unless `may_be_empty`.
    """
    if frame.height == 0:
        raise EmptyDataError(f"{where}: there are no rows; a data set needs at least one interaction")
    if one_unit or not skip_bad:
        _check_unit(frame, where, surely=one_unit)
    counts = frame.select(rule.bad.fill_null(False).sum().alias(str(k)) for k, rule in enumerate(rules)).row(0)
    left_out: dict[str, int] = {}
    for rule, count in zip(rules, counts, strict=True):
        if not count:
            continue
        if not skip_bad:
            raise _first_bad_row(frame, rule, count, where)
        kept = frame.filter(rule.bad.fill_null(False).not_())
        if kept.height < frame.height:  # else an earlier rule has taken these rows
            left_out[rule.reason] = frame.height - kept.height
        frame = kept
    if frame.height == 0 and not may_be_empty:
        raise EmptyDataError(f"{where}: no row is left; left out were {left_out}")
    return frame, left_out


def _first_bad_row(frame: pl.DataFrame, rule: RowRule, count: int, where: str) -> DataError:
    row = frame.select(rule.bad.fill_null(False).arg_max()).item()
    more = f" ({count:,} such rows; skip_bad, or --skip-bad, leaves them out and counts them)"
    value = repr(frame[rule.column][row])
    value = value if len(value) <= 80 else f"{value[:77]}..."
    return DataError(f"{where}, row {row}, column {rule.column!r}: {value} {rule.problem}; {rule.mend}{more}")


def _check_unit(frame: pl.DataFrame, where: str, *, surely: bool) -> None:
    """A wrong unit spoils the whole column, so that no row can be skipped to mend it. surely: whatever unit it is."""
    if TIME not in frame.columns or frame[TIME].null_count() == frame.height:
        return
    median = int(frame[TIME].median())  # type: ignore[arg-type]
    if EARLIEST_MS <= median < LATEST_MS:
        return
    guess = _unit_guess(median)
    if guess is None and not surely:
        return
    guess = guess or "is out of every range; where only the order is known, write it to 'position' and leave these null"
    row = frame[TIME].is_not_null().arg_max() or 0
    place = f"{where}, row {row}, column {TIME!r}: {frame[TIME][row]}"
    raise DataError(f"{place} cannot be milliseconds since 1970 UTC: half of the column {guess}")


def _unit_guess(median: int) -> str | None:
    """What the column looks like; None where no unit makes moments of it."""
    if median < 0:
        return "lies before 1970; write milliseconds since 1970 UTC"
    for name, per_ms, mend in (
        ("seconds", 1e-3, "multiply by 1000"),
        ("microseconds", 1e3, "divide by 1000"),
        ("nanoseconds", 1e6, "divide by 1,000,000"),
    ):
        in_ms = median / per_ms
        if EARLIEST_MS <= in_ms < LATEST_MS:
            day = datetime.fromtimestamp(in_ms / 1000, UTC).date()
            return f"looks like {name} (its median would be {day}); {mend}"
    return None
