"""MovieLens: 100K (u.data), 1M and 10M (.dat), latest, 20M, 25M and 32M (.csv)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from dynmm.errors import DataError
from dynmm.interactions.dataset import DatasetInfo
from dynmm.interactions.fields import CATEGORIES, ITEM, RATING, TIME, TITLE, USER, YEAR
from dynmm.interactions.importers.checking import checked, identifier, moment, number, text
from dynmm.interactions.importers.delimited import read_delimited, read_double_colon
from dynmm.interactions.importers.files import bare_name, existing, folder_holding, optional
from dynmm.interactions.importers.imported import Imported, merge_counts
from dynmm.interactions.importers.table import Table

LICENCE = "GroupLens terms: research use with acknowledgement, non-commercial; see the README of the download"

_RATINGS = ("ratings.csv", "ratings.dat", "u.data")
_RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_NO_GENRE = ("(no genres listed)", "unknown", "")
#: The flags behind the first five columns of u.item, where u.genre is not there to name them.
_GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


def import_movielens(source: Path, *, skip_bad: bool = False) -> Imported:
    """Read an extracted MovieLens folder, or its ratings file, of any generation.

    Seconds become milliseconds, genres categories; a year in brackets behind a title becomes the year.
    Raises DataError for a folder without ratings or at the first malformed row.
    """
    folder = folder_holding(existing(source), [*_RATINGS, *(f"{name}.gz" for name in _RATINGS)])
    if folder is None:
        raise DataError(f"{source} holds none of {', '.join(_RATINGS)}; give the extracted MovieLens folder")
    ratings, movies, users, tags = _tables(folder)
    interactions, left_out = _interactions(ratings, skip_bad)
    items, items_left_out = (None, {}) if movies is None else _movies(movies, skip_bad)
    users_frame, users_left_out = (None, {}) if users is None else _users(users, skip_bad)
    tags_frame, tags_left_out = (None, {}) if tags is None else _tags(tags, skip_bad)
    return Imported(
        interactions,
        DatasetInfo(bare_name(folder), "film", "watched", "second", LICENCE),
        items,
        users_frame,
        tags_frame,
        merge_counts(left_out, items_left_out, users_left_out, tags_left_out),
    )


def _tables(folder: Path) -> tuple[Table, Table | None, Table | None, Table | None]:
    """Ratings, movies, users and tags of whichever generation lies in the folder."""
    if ratings := optional(folder, "ratings.csv"):
        movies, tags = optional(folder, "movies.csv"), optional(folder, "tags.csv")
        return (
            read_delimited(ratings, ","),
            read_delimited(movies, ",") if movies else None,
            None,
            read_delimited(tags, ",") if tags else None,
        )
    if ratings := optional(folder, "ratings.dat"):
        movies, users, tags = (optional(folder, f"{name}.dat") for name in ("movies", "users", "tags"))
        return (
            read_double_colon(ratings, _RATING_COLUMNS),
            read_double_colon(movies, ("movieId", "title", "genres")) if movies else None,
            read_double_colon(users, ("userId", "gender", "age", "occupation", "zip")) if users else None,
            read_double_colon(tags, ("userId", "movieId", "tag", "timestamp")) if tags else None,
        )
    ratings, movies, users = (optional(folder, name) for name in ("u.data", "u.item", "u.user"))
    assert ratings is not None
    columns = ("userId", "age", "gender", "occupation", "zip")
    return (
        read_delimited(ratings, "\t", columns=_RATING_COLUMNS, quote=None),
        _movies_100k(folder, movies) if movies else None,
        read_delimited(users, "|", columns=columns, quote=None, latin1=True) if users else None,
        None,
    )


def _interactions(table: Table, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    wanted = [
        identifier(USER, "userId"),
        identifier(ITEM, "movieId"),
        number(RATING, "rating", required=True),
        moment(TIME, "timestamp", "s", required=True),
    ]
    return checked(table, wanted, skip_bad=skip_bad)


def _movies(table: Table, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    wanted = [identifier(ITEM, "movieId"), text(TITLE, "title"), text("genres", "genres")]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    year = pl.col(TITLE).str.extract(r"\((\d{4})\)\s*$").cast(pl.Int16)
    genres = pl.col("genres").str.split("|").list.eval(pl.element().filter(~pl.element().is_in(_NO_GENRE)))
    title = pl.col(TITLE).str.replace(r"\s*\(\d{4}\)\s*$", "")
    items = frame.select(ITEM, title, genres.alias(CATEGORIES), year.alias(YEAR))
    return items, {f"items: {reason}": count for reason, count in left_out.items()}


def _movies_100k(folder: Path, path: Path) -> Table:
    """u.item has one flag per genre; here they become the bar-separated list of the later generations."""
    named = optional(folder, "u.genre")
    genres: tuple[str, ...] = _GENRES_100K
    if named:
        listed = read_delimited(named, "|", columns=("genre", "number"), quote=None)
        genres = tuple(listed.rows.drop_nulls("genre").collect()["genre"])
    columns = ("movieId", "title", "released", "video_released", "imdb", *(f"is {genre}" for genre in genres))
    table = read_delimited(path, "|", columns=columns, quote=None, latin1=True)
    flags = [pl.when(pl.col(f"is {genre}") == "1").then(pl.lit(genre)) for genre in genres]
    rows = table.rows.with_columns(pl.concat_str(flags, separator="|", ignore_nulls=True).alias("genres"))
    return Table(path, rows, (*columns, "genres"), table.line_of, lambda: rows)


def _users(table: Table, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    wanted = [identifier(USER, "userId"), *(text(name, name) for name in ("gender", "age", "occupation", "zip"))]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    return frame, {f"users: {reason}": count for reason, count in left_out.items()}


def _tags(table: Table, skip_bad: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    wanted = [
        identifier(USER, "userId"),
        identifier(ITEM, "movieId"),
        text("tag", "tag"),
        moment(TIME, "timestamp", "s"),
    ]
    frame, left_out = checked(table, wanted, skip_bad=skip_bad)
    return frame, {f"tags: {reason}": count for reason, count in left_out.items()}
