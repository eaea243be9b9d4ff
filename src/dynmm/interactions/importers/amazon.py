"""Amazon reviews of 2014, 2018 and 2023: JSON lines, plain or gzipped, with or without metadata."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import ITEM, RATING, TIME, USER, TimeResolution
from dynmm.interactions.importers.amazon_metadata import read_metadata
from dynmm.interactions.importers.checking import checked, identifier, moment, number
from dynmm.interactions.importers.files import bare_name, existing, require_content
from dynmm.interactions.importers.imported import Imported, merge_counts
from dynmm.interactions.importers.jsonlines import objects_of, read_json_lines
from dynmm.interactions.importers.table import Table
from dynmm.interactions.importers.times import TimeUnit

_LOG = logging.getLogger(__name__)

LICENCE = "Amazon reviews by McAuley Lab: academic use"
_ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_ITEM = "\x00item"
#: The year shows in the keys; 2014 and 2018 differ only in keys beside the review itself.
_ONLY_2018 = {"verified", "vote", "style", "image"}


@dataclass(frozen=True)
class _Layout:
    year: int
    user: str
    rating: str
    time: str
    unit: TimeUnit
    resolution: TimeResolution


_OLD = {year: _Layout(year, "reviewerID", "overall", "unixReviewTime", "s", "day") for year in (2014, 2018)}
_NEW = _Layout(2023, "user_id", "rating", "timestamp", "ms", "second")


def import_amazon(
    source: Path, *, skip_bad: bool = False, metadata: Path | None = None, all_items: bool = False
) -> Imported:
    """Read a review file, or a folder with one review file and its meta_ file. The year is seen in the keys.

    Items are the parent_asin where the reviews have one, else the asin. metadata: the metadata file, where
    it does not lie in the folder as meta_*. all_items: keep items of the metadata that nobody reviewed,
    which are otherwise counted and left out. Raises DataError at the first malformed line.
    """
    reviews, beside = _files(existing(source))
    metadata = metadata or beside
    layout, name = _layout(reviews), bare_name(reviews)
    columns = (layout.user, "asin", "parent_asin", layout.rating, layout.time)
    table = _with_item(read_json_lines(reviews, columns))
    wanted = [
        identifier(USER, layout.user),
        identifier(ITEM, _ITEM),
        number(RATING, layout.rating, required=True),
        moment(TIME, layout.time, layout.unit, required=True),
    ]
    interactions, left_out = checked(table, wanted, skip_bad=skip_bad)
    items = None
    if metadata is not None:
        known = None if all_items else set(interactions[ITEM].unique())
        items, items_out = read_metadata(existing(metadata), layout.year, known, skip_bad=skip_bad)
        left_out = merge_counts(left_out, items_out)
    info = DatasetInfo(name, "product", "bought", layout.resolution, LICENCE, f"Amazon reviews {layout.year}")
    return Imported(interactions, info, items, left_out=left_out)


def _files(source: Path) -> tuple[Path, Path | None]:
    """The review file and the metadata file."""
    if source.is_file():
        return source, None
    found = sorted(path for path in source.iterdir() if path.name.lower().endswith(_ENDINGS))
    metadata = [path for path in found if path.name.lower().startswith("meta")]
    reviews = [path for path in found if path not in metadata]
    for what, paths, needed in (("review", reviews, 1), ("meta_", metadata, 0)):
        if not needed <= len(paths) <= 1:
            listed = ", ".join(path.name for path in paths) or "none"
            raise DataError(
                f"{source} should hold one {what} file ({', '.join(_ENDINGS)}), but holds {listed}; "
                "give the path of the review file itself, and the metadata with metadata (--metadata)"
            )
    return reviews[0], metadata[0] if metadata else None


def _layout(path: Path) -> _Layout:
    keys: set[str] = set()
    for _, record in itertools.islice(objects_of(require_content(path)), 100):
        keys |= set(record or ())
    if "user_id" in keys and keys & {"asin", "parent_asin"}:
        return _NEW
    if "reviewerID" in keys and "asin" in keys:
        return _OLD[2018 if keys & _ONLY_2018 else 2014]
    raise DataError(
        f"{path}: the first lines are no Amazon reviews; expected JSON objects with reviewerID and asin (2014, 2018) "
        f"or user_id and parent_asin (2023), found keys: {', '.join(sorted(keys)) or 'none'}"
    )


def _with_item(table: Table) -> Table:
    """parent_asin joins the variants of a product; older files have the asin alone."""
    item = pl.coalesce("parent_asin", "asin").alias(_ITEM)
    return Table(
        table.path,
        table.rows.with_columns(item),
        (*table.columns, _ITEM),
        table.line_of,
        lambda: table.repair().with_columns(item),
        table.blank_rows,
    )
