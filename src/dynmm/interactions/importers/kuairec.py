"""KuaiRec: short videos, with how much of each was watched as the rating."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import CATEGORIES, DESCRIPTION, ITEM, RATING, TIME, TITLE, USER
from dynmm.interactions.importers.checking import checked, identifier, moment, number, text
from dynmm.interactions.importers.delimited import read_delimited
from dynmm.interactions.importers.files import existing, folder_holding, optional
from dynmm.interactions.importers.imported import Imported, merge_counts
from dynmm.interactions.importers.times import resolution_of

_LOG = logging.getLogger(__name__)

LICENCE = "CC BY-SA 4.0, KuaiRec"
_UNKNOWN = ("UNKNOWN", "")
_LEVELS = ("first_level_category_name", "second_level_category_name", "third_level_category_name")


def import_kuairec(
    source: Path,
    *,
    skip_bad: bool = False,
    matrix: Literal["big", "small"] = "big",
    drop_undated: bool = False,
) -> Imported:
    """Read an extracted KuaiRec folder, or its `data` folder. The rating is `watch_ratio`.

    matrix: `big` (sparse, as users saw it) or `small` (almost every pair, for unbiased tests). Some rows
    have no timestamp: they are kept, and the data set then counts as partly dated, unless `drop_undated`
    leaves them out and counts them. Raises DataError for a missing file or at the first malformed row.
    """
    name = f"{matrix}_matrix.csv"
    folder = folder_holding(existing(source), [name, f"{name}.gz"])
    path = optional(folder, name) if folder else None
    if folder is None or path is None:
        raise DataError(f"{source} holds no {name}; give the extracted KuaiRec folder, or choose the other matrix")
    interactions, left_out = _interactions(path, skip_bad)
    undated = interactions[TIME].null_count()
    notes = f"{matrix} matrix; rating is watch_ratio"
    if undated and drop_undated:
        interactions = interactions.drop_nulls(TIME)
        left_out = merge_counts(left_out, {"without timestamp": undated})
    elif undated:
        notes += f"; {undated:,} rows have no timestamp"
        _LOG.warning("%s: %s rows have no timestamp; drop_undated leaves them out", path, f"{undated:,}")
    items, items_out = _items(folder, skip_bad)
    users, users_out = _users(folder, skip_bad)
    info = DatasetInfo(f"kuairec-{matrix}", "video", "watched", resolution_of(interactions), LICENCE, notes)
    return Imported(interactions, info, items, users, left_out=merge_counts(left_out, items_out, users_out))


def _interactions(path: Path, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    wanted = [
        identifier(USER, "user_id"),
        identifier(ITEM, "video_id"),
        moment(TIME, "timestamp", "s"),
        number(RATING, "watch_ratio", required=True),
    ]
    return checked(read_delimited(path, ","), wanted, skip_bad=skip_bad)


def _items(folder: Path, skip_bad: bool) -> tuple[pl.DataFrame | None, dict[str, int]]:
    """Captions and named categories where the file is there, else categories by number."""
    tables: list[pl.DataFrame] = []
    left_out: dict[str, int] = {}
    if path := optional(folder, "kuairec_caption_category.csv"):
        captions, left_out = _captions(path, skip_bad)
        tables.append(captions)
    if path := optional(folder, "item_categories.csv"):
        numbered, more = _numbered(path, skip_bad)
        left_out = merge_counts(left_out, more)
        tables.append(numbered)
    if not tables:
        return None, left_out
    items = tables[0]
    if len(tables) == 2:
        items = items.join(tables[1], on=ITEM, how="full", coalesce=True, maintain_order="left_right")
    names = [name for name in (CATEGORIES, "feat") if name in items.columns]
    return items.with_columns(pl.coalesce(names).alias(CATEGORIES)).drop("feat", strict=False), left_out


def _captions(path: Path, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    table = read_delimited(path, ",")
    levels = [name for name in _LEVELS if name in table.columns]
    wanted = [identifier(ITEM, "video_id"), text(TITLE, "caption"), text(DESCRIPTION, "manual_cover_text")]
    wanted += [text(name, name) for name in ("topic_tag", *levels) if name in table.columns]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    known = [pl.when(~pl.col(name).is_in(_UNKNOWN)).then(pl.col(name)) for name in (TITLE, DESCRIPTION, *levels)]
    frame = frame.with_columns(known)
    named = pl.concat_list(levels).list.drop_nulls() if levels else pl.lit(None, pl.List(pl.String()))
    frame = frame.with_columns(pl.when(named.list.len() > 0).then(named).alias(CATEGORIES)).drop(levels)
    if "topic_tag" in frame.columns:
        frame = frame.with_columns(_inside_brackets("topic_tag").alias("topics")).drop("topic_tag")
    return frame, {f"items: {reason}": count for reason, count in left_out.items()}


def _numbered(path: Path, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    frame, left_out = checked(
        read_delimited(path, ","), [identifier(ITEM, "video_id"), text("feat", "feat")], skip_bad=skip_bad
    )
    categories = _inside_brackets("feat").list.eval("category " + pl.element())
    return frame.with_columns(categories.alias("feat")), {f"items: {why}": n for why, n in left_out.items()}


def _inside_brackets(column: str) -> pl.Expr:
    """``[27, 9]`` as a list of texts."""
    parts = pl.col(column).str.strip_chars("[] ").str.split(",").list.eval(pl.element().str.strip_chars(" '\""))
    return parts.list.eval(pl.element().filter(pl.element().str.len_bytes() > 0))


def _users(folder: Path, skip_bad: bool) -> tuple[pl.DataFrame | None, dict[str, int]]:
    path = optional(folder, "user_features.csv")
    if path is None:
        return None, {}
    table = read_delimited(path, ",")
    wanted = [identifier(USER, "user_id"), *(text(name, name) for name in table.columns if name != "user_id")]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    return frame, {f"users: {reason}": count for reason, count in left_out.items()}
