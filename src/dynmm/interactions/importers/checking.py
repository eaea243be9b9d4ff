"""From text columns to typed ones, with one error, or one count, for each kind of malformed row."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dynmm.errors import DataError, first_line
from dynmm.interactions.importers.table import OVERFLOW, PROBLEM, ROW, Table
from dynmm.interactions.importers.times import TimeUnit, in_ms

_LOG = logging.getLogger(__name__)
_FAULT = "\x00fault"
_PARSED = "\x00parsed:"


@dataclass(frozen=True, eq=False)
class Field:
    """One wanted column.

    parsed: the typed value from the source's text, null where it cannot be read. complaint: what an
    unreadable value is told; None where nothing is unreadable.
    """

    name: str
    source: str
    parsed: pl.Expr
    required: bool
    complaint: str | None = None
    mend: str = ""


@dataclass(frozen=True)
class _Fault:
    field: Field | None
    reason: str
    message: str
    mend: str


def identifier(name: str, source: str) -> Field:
    """An id: any text but an empty one."""
    text = pl.col(source).str.strip_chars()
    filled = pl.when(text.str.len_bytes() > 0).then(text)
    return Field(name, source, filled, True, "is empty", "fill it in")


def number(name: str, source: str, *, required: bool = False) -> Field:
    """A finite number as float32."""
    value = pl.col(source).str.strip_chars().cast(pl.Float32, strict=False)
    finite = pl.when(value.is_finite()).then(value)
    mend = "write a number" if required else "write a number or leave it empty"
    return Field(name, source, finite, required, "is not a finite number", mend)


def year(name: str, source: str) -> Field:
    """A whole number as int16, as `fields` has years; `1999.0` is one."""
    value = pl.col(source).str.strip_chars().cast(pl.Float64, strict=False)
    whole = pl.when(value == value.round()).then(value).cast(pl.Int16, strict=False)
    return Field(name, source, whole, False, "is not a year", "write a whole number such as 1999 or leave it empty")


def moment(name: str, source: str, unit: TimeUnit, *, required: bool = False) -> Field:
    """A time as int64 milliseconds UTC."""
    what = (
        "is not a date and time like 2024-05-31T12:00:00Z"
        if unit == "iso"
        else f"is not a time in {unit} between 1971 and 2200"
    )
    mend = "write a time" if required else "write a time or leave it empty"
    return Field(name, source, in_ms(source, unit), required, what, mend)


def text(name: str, source: str) -> Field:
    """Any text, null where empty."""
    value = pl.col(source).str.strip_chars()
    return Field(name, source, pl.when(value.str.len_bytes() > 0).then(value), False)


def checked(table: Table, wanted: Sequence[Field], *, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """The wanted columns of all good rows, in file order, and the number of rows left out by reason.

    Raises DataError at the first malformed row unless `skip_bad`.
    """
    _require_columns(table, wanted)
    rows = table.rows
    try:
        frame, faults = _typed(rows, wanted, table.blank_rows)
    except pl.exceptions.ComputeError as error:
        _LOG.info("%s: reading record by record, because: %s", table.path, first_line(error))
        rows = table.repair()
        frame, faults = _typed(rows, wanted, table.blank_rows)
    bad = frame.filter(pl.col(_FAULT) > 0).select(ROW, _FAULT)
    left_out: dict[str, int] = {}
    if bad.height:
        first, code = bad.row(0)
        message = _describe(table, rows, first, faults[code])
        if not skip_bad:
            raise DataError(f"{message}, or leave such rows out with skip_bad (--skip-bad)")
        left_out = {faults[code].reason: count for code, count in bad[_FAULT].value_counts(sort=True).iter_rows()}
        _LOG.warning("left out %s malformed rows; the first: %s", f"{bad.height:,}", message)
        frame = frame.filter(pl.col(_FAULT) == 0)
    return frame.select(field.name for field in wanted), left_out


def _require_columns(table: Table, wanted: Sequence[Field]) -> None:
    for field in wanted:
        if field.source not in table.columns:
            found = ", ".join(table.columns)
            raise DataError(
                f"{table.path} has no column {field.source!r} for {field.name}; it has: {found}. "
                "Rename the column or name the right one"
            )


def _typed(rows: pl.LazyFrame, wanted: Sequence[Field], blank_rows: bool) -> tuple[pl.DataFrame, list[_Fault]]:
    present = set(rows.collect_schema().names())
    parsed = rows.with_columns(field.parsed.alias(_PARSED + field.name) for field in wanted)
    if blank_rows:
        filled = [pl.col(name).is_not_null() for name in sorted(present - {ROW})]
        parsed = parsed.filter(pl.any_horizontal(filled))
    fault, faults = _fault_code(wanted, present)
    values = [pl.col(_PARSED + field.name).alias(field.name) for field in wanted]
    return parsed.select(ROW, *values, fault.alias(_FAULT)).collect(engine="streaming"), faults


def _fault_code(wanted: Sequence[Field], present: set[str]) -> tuple[pl.Expr, list[_Fault]]:
    """0 for a sound row, else the place of its first fault in the list."""
    rules: list[tuple[pl.Expr, _Fault]] = []
    if PROBLEM in present:
        fault = _Fault(None, "unreadable row", "cannot be read", "mend the row")
        rules.append((pl.col(PROBLEM).is_not_null(), fault))
    if OVERFLOW in present:
        why = "the row has more fields than there are columns"
        rules.append(
            (pl.col(OVERFLOW).is_not_null(), _Fault(None, "too many fields", why, "quote or remove the extra"))
        )
    for field in wanted:
        if field.required:
            why = "is missing (an empty field, or too few fields in the row)"
            rules.append((pl.col(field.source).is_null(), _Fault(field, f"{field.name} missing", why, "fill it in")))
        if field.complaint is not None:
            unread = pl.col(field.source).is_not_null() & pl.col(_PARSED + field.name).is_null()
            complaint = _Fault(field, f"{field.name} {field.complaint}", field.complaint, field.mend)
            rules.append((unread, complaint))
    code = pl.lit(0, pl.UInt8)
    for place, (condition, _) in reversed(list(enumerate(rules, start=1))):
        code = pl.when(condition).then(pl.lit(place, pl.UInt8)).otherwise(code)
    return code, [_Fault(None, "", "", ""), *(fault for _, fault in rules)]


def _describe(table: Table, rows: pl.LazyFrame, row: int, fault: _Fault) -> str:
    raw = rows.filter(pl.col(ROW) == row).collect().row(0, named=True)
    where = f"{table.path}, line {table.line_of(row)}"
    if fault.field is not None:
        value = raw[fault.field.source]
        return f"{where}, column {fault.field.source!r}: {value!r} {fault.message}; {fault.mend}"
    what = f"the row {raw[PROBLEM]}" if raw.get(PROBLEM) else f"{fault.message} ({raw.get(OVERFLOW)!r})"
    return f"{where}: {what}; {fault.mend}"
