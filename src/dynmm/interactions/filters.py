"""Which rows count as positives: by rating, by kind, and each event once."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dynmm.errors import DataError, EmptyDataError, UnsupportedByData
from dynmm.interactions.fields import KIND, RATING


def apply_filters(
    frame: pl.DataFrame, where: str, *, min_rating: float | None, kinds: Sequence[str] | None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows rated at least `min_rating` and of one of `kinds`, and how many the others were.

    Raises UnsupportedByData where the column is absent, DataError for a kind that never occurs,
    EmptyDataError where no row is left.
    """
    left_out: dict[str, int] = {}
    if min_rating is not None:
        _need_values(frame, RATING, "min_rating", where)
        unrated = int(frame[RATING].null_count())
        kept = frame.filter(pl.col(RATING) >= min_rating)
        left_out |= {"not rated": unrated, f"rated below {min_rating:g}": frame.height - kept.height - unrated}
        frame = kept
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        _need_values(frame, KIND, "kinds", where)
        _check_kinds(frame, kinds, where)
        kept = frame.filter(pl.col(KIND).is_in(kinds))
        left_out |= {f"other kinds than {', '.join(kinds)}": frame.height - kept.height}
        frame = kept
    if frame.height == 0:
        raise EmptyDataError(f"{where}: no row is left after the filters ({left_out}); ask for less")
    return frame, {reason: count for reason, count in left_out.items() if count}


def _need_values(frame: pl.DataFrame, column: str, option: str, where: str) -> None:
    if column not in frame.columns or (frame.height and frame[column].null_count() == frame.height):
        raise UnsupportedByData(f"{where}: {option} needs column {column!r}, which has no values; leave {option} out")


def _check_kinds(frame: pl.DataFrame, kinds: Sequence[str], where: str) -> None:
    present = frame[KIND].drop_nulls().unique().sort().to_list()
    for kind in kinds:
        if kind not in present:
            shown = ", ".join(map(repr, present[:20])) or "none"
            raise DataError(f"{where}, column {KIND!r}: kind {kind!r} never occurs; the kinds are {shown}")
