"""Amazon's product metadata of 2014 (Python literals), 2018 and 2023 (JSON) as an item table."""

from __future__ import annotations

import html
import logging
import re
from pathlib import Path
from typing import Any

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.fields import BRAND, CATEGORIES, DESCRIPTION, ITEM, ITEM_SCHEMA, TITLE
from dynmm.interactions.importers.files import lines_of, require_content
from dynmm.interactions.importers.jsonlines import parse_object

_LOG = logging.getLogger(__name__)

IMAGE_URLS = "image_urls"
_SCHEMA = {
    **{name: ITEM_SCHEMA[name] for name in (ITEM, TITLE, DESCRIPTION, BRAND, CATEGORIES)},
    IMAGE_URLS: pl.List(pl.String()),
}
_NOT_REVIEWED = "metadata: items without a review"


def read_metadata(
    path: Path, year: int, known: set[str] | None, *, skip_bad: bool
) -> tuple[pl.DataFrame, dict[str, int]]:
    """One row per product. known: the ids to keep, None for all. Image addresses stay text in `image_urls`.

    Repeated products keep their first line, and markup that the crawl left in a title or category is taken
    out. Returns the table and the lines left out by reason. Raises DataError at the first malformed line.
    """
    key = "parent_asin" if year == 2023 else "asin"
    quick_id = re.compile(rf"""["']{key}["']\s*:\s*["']([^"'\\]+)["']""".encode())
    rows: dict[str, tuple[Any, ...]] = {}
    left_out: dict[str, int] = {}

    def leave_out(reason: str) -> None:
        left_out[reason] = left_out.get(reason, 0) + 1

    for number, line in lines_of(require_content(path)):
        seen = quick_id.search(line)
        if known is not None and seen and seen[1].decode("utf-8", errors="replace") not in known:
            # Most products of a category are not in its dense part; parsing them would cost minutes.
            leave_out(_NOT_REVIEWED)
        elif line.strip():
            record = parse_object(line)
            item = None if record is None else record.get(key)
            if record is None or not isinstance(item, str) or not item.strip():
                _refuse(path, number, key, record, skip_bad)
                leave_out("metadata: unreadable row")
            elif known is not None and item not in known:
                leave_out(_NOT_REVIEWED)
            elif item in rows:
                leave_out("metadata: repeated product")
            else:
                rows[item] = _row(item, record)
    return pl.DataFrame(list(rows.values()), schema=_SCHEMA, orient="row"), left_out


def _refuse(path: Path, number: int, key: str, record: dict[str, Any] | None, skip_bad: bool) -> None:
    what = "the row is not a JSON object or Python literal" if record is None else f"column {key!r} is missing or empty"
    message = f"{path}, line {number}: {what}; mend the row"
    if not skip_bad:
        raise DataError(f"{message}, or leave such rows out with skip_bad (--skip-bad)")
    _LOG.warning("left out: %s", message)


def _row(item: str, record: dict[str, Any]) -> tuple[Any, ...]:
    categories = record.get("categories") or record.get("category") or record.get("main_category")
    title = _clean(record.get("title"))
    if title is not None and "getTime" in title:
        title = None  # a script that the 2018 crawl took for a title
    return (
        item,
        title,
        _clean(record.get("description")),
        _clean(record.get("brand") or record.get("store")),
        list(dict.fromkeys(name for name in map(_clean, _flat(categories)) if name and "<" not in name)) or None,
        _image_urls(record) or None,
    )


def _clean(value: Any) -> str | None:
    """Plain text: lists joined, entities resolved, white space single; None where nothing is left."""
    joined = " ".join(part for part in _flat(value) if part)
    return " ".join(html.unescape(joined).split()) or None


def _flat(value: Any) -> list[str]:
    """All texts in a text, a list of texts or a list of such lists."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for part in value for text in _flat(part)]
    return []


def _image_urls(record: dict[str, Any]) -> list[str]:
    found: list[str] = []
    images = record.get("images") or record.get("imageURLHighRes") or record.get("imageURL")
    for image in images or _flat(record.get("image") or record.get("imUrl")):
        if isinstance(image, dict):
            image = image.get("hi_res") or image.get("large") or image.get("thumb")
        if isinstance(image, str) and image:
            found.append(image)
    return found
