"""Units of time in source files: named, guessed from their size, and refused where they cannot be right."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.fields import POSITION, TIME, TimeResolution
from dynmm.interactions.info import DAY_MS
from dynmm.interactions.validation import EARLIEST_MS, LATEST_MS

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
TIME_UNITS: tuple[str, ...] = get_args(TimeUnit)

_TO_MS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "iso": "dates"}

#: 1980 and 2100: where the moments of a recommender's log are expected.
_LIKELY_MS = (315_532_800_000, 4_102_444_800_000)

_ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
)


def resolve_unit(sample: Sequence[str], asked: TimeUnit | None, where: str) -> TimeUnit:
    """The unit of a column of times, as asked or guessed from the median of a sample of its values.

    where: names file and column in the error. Raises DataError where the unit asked for puts the times
    outside 1980 to 2100 and another unit does not, or where no unit can be guessed.
    """
    numbers = [number for number in map(_number, sample) if number is not None]
    if asked == "iso" or len(numbers) * 2 < len(sample):
        if asked not in (None, "iso"):
            raise DataError(f"{where}: the times are not numbers (e.g. {sample[0]!r}); use time_unit iso")
        return "iso"
    if not numbers:
        return asked or "s"
    middle = statistics.median(numbers)
    likely = next((unit for unit in ("s", "ms", "us", "ns") if _is_likely(middle * _TO_MS[unit])), None)
    if asked is None and likely is None:
        raise DataError(
            f"{where}: times like {middle:.0f} are no moment since 1980 in any unit; if they are, name the unit "
            f"(time_unit {', '.join(TIME_UNITS)}), and if they only give an order, sort the rows by them and "
            "import with in_order and without a time column"
        )
    if asked is not None and likely not in (None, asked) and not _is_likely(middle * _TO_MS[asked]):
        raise DataError(
            f"{where}: read in {_NAMES[asked]}, times like {middle:.0f} would lie around "
            f"{_date(middle * _TO_MS[asked])}; they look like {_NAMES[str(likely)]}: use time_unit {likely}"
        )
    return asked or likely  # type: ignore[return-value]


def in_ms(column: str, unit: TimeUnit) -> pl.Expr:
    """A text column as int64 milliseconds UTC; null where it is no moment between 1971 and 2200."""
    text = pl.col(column).str.strip_chars()
    if unit == "iso":
        readings = [text.str.to_datetime(f, strict=False, time_unit="ms") for f in _ISO_FORMATS]
        moment = pl.coalesce(one.dt.timestamp("ms") for one in readings)
    else:
        # A double holds every millisecond of this era exactly, and reads 1593878903.438 as well as 1593878903.
        scaled = (text.cast(pl.Float64, strict=False) * _TO_MS[unit]).round(0)
        moment = pl.when(scaled.is_finite() & scaled.abs().lt(1e18)).then(scaled).cast(pl.Int64)
    return pl.when(moment.is_between(EARLIEST_MS, LATEST_MS, closed="left")).then(moment)


def resolution_of(interactions: pl.DataFrame) -> TimeResolution:
    """What the timestamp and position columns of a frame can tell about time."""
    if TIME not in interactions.columns or interactions[TIME].null_count() == interactions.height:
        return "order" if POSITION in interactions.columns else "none"
    if interactions[TIME].null_count():
        return "partial"
    return "day" if (interactions[TIME] % DAY_MS == 0).all() else "second"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_likely(ms: float) -> bool:
    return _LIKELY_MS[0] <= ms <= _LIKELY_MS[1]


def _date(ms: float) -> str:
    if not 0 <= ms < LATEST_MS:
        return "a year before 1970" if ms < 0 else "a year after 2200"
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date().isoformat()
