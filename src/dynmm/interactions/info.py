"""`dataset.json`: what a data set calls its items, and what is known of time."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import INFO_FILE, TIME_RESOLUTIONS, TimeResolution
from dynmm.types import BoolArray

DAY_MS = 86_400_000


def read_info(folder: Path) -> tuple[DatasetInfo, bool]:
    """What the folder's `dataset.json` says, and whether it says a time resolution.

    A missing file or key means the default. Unknown keys are allowed: they are notes for people.
    Raises DataError for malformed JSON or a value of the wrong type.
    """
    path = folder / INFO_FILE
    if not path.is_file():
        return DatasetInfo(name=folder.resolve().name), False
    said = _read_object(path)
    known: dict[str, Any] = {"name": folder.resolve().name}
    for field in fields(DatasetInfo):
        if field.name not in said:
            continue
        if not isinstance(said[field.name], str):
            raise DataError(
                f"{path}: key {field.name!r} is {json.dumps(said[field.name])}, which is not a text; put it in quotes"
            )
        known[field.name] = said[field.name]
    check_resolution(known.get("time_resolution", "none"), str(path))
    return DatasetInfo(**known), "time_resolution" in said


def _read_object(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path}: this is not readable JSON ({error}); mend it, or remove it for defaults") from error
    if not isinstance(said, dict):
        raise DataError(f'{path}: a JSON object is due, such as {{"name": "films"}}; this is a {type(said).__name__}')
    return said


def info_as_json(info: DatasetInfo, **counts: int) -> dict[str, Any]:
    """The content of `dataset.json`."""
    return {**asdict(info), **counts}


def check_resolution(value: str, where: str) -> TimeResolution:
    """The same text where it is a time resolution. Raises DataError."""
    if value not in TIME_RESOLUTIONS:
        raise DataError(f"{where}: time_resolution {value!r} is unknown; use one of {', '.join(TIME_RESOLUTIONS)}")
    return cast(TimeResolution, value)


def infer_resolution(times: NDArray[np.int64] | None, timed: BoolArray, placed: BoolArray) -> TimeResolution:
    """What the columns themselves tell of time.

    times: (N,) ms UTC or None. timed, placed: (N,) whether a row has a timestamp, a position. Complete
    positions give an order even where only some rows have a timestamp.
    """
    if times is not None and timed.all():
        return "day" if not (times % DAY_MS).any() else "second"
    if placed.all():
        return "order"
    return "partial" if timed.any() else "none"
