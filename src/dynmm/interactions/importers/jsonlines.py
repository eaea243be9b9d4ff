"""Reading JSON lines as text columns: Polars where every line is JSON, Python where some are dict literals."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.interactions.importers.files import existing, lines_of, require_content
from dynmm.interactions.importers.table import PROBLEM, ROW, Table


def read_json_lines(path: Path, columns: Sequence[str]) -> Table:
    """The chosen keys of a JSON lines file, plain or gzipped, each value as text."""
    require_content(existing(path))
    schema = dict.fromkeys(columns, pl.String())
    rows = pl.scan_ndjson(path, schema=schema, row_index_name=ROW)

    def line_of(row: int) -> int:
        filled = (number for number, line in lines_of(path) if line.strip())
        return next(number for place, number in enumerate(filled) if place == row)

    def repair() -> pl.LazyFrame:
        content = list(_tolerant_rows(path, columns))
        full = {ROW: pl.UInt32(), **schema, PROBLEM: pl.String()}
        return pl.DataFrame(content, schema=full, orient="row").lazy()

    return Table(path, rows, tuple(columns), line_of, repair, blank_rows=False)


def objects_of(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Line numbers and the objects on them, strict JSON or Python dict literals; None where it is neither."""
    for number, line in lines_of(path):
        if line.strip():
            yield number, parse_object(line)


def parse_object(line: bytes) -> dict[str, Any] | None:
    """One line as an object. The 2014 Amazon files hold Python literals, which are read without being run."""
    value: Any
    try:
        value = json.loads(line)
    except RecursionError:
        return None
    except ValueError:
        try:
            value = ast.literal_eval(line.decode("utf-8", errors="strict").strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _tolerant_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int | str | None, ...]]:
    for place, (_, record) in enumerate(objects_of(path)):
        problem = "is not a JSON object" if record is None else None
        values = record or {}
        yield (place, *(_as_text(values.get(name)) for name in columns), problem)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
