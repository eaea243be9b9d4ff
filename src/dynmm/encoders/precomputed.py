"""Vectors that somebody else computed: ``features/<modality>-<name>.parquet`` with columns item_id and vector."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.catalogue.content import AUDIO, IMAGE, MODALITIES, TEXT, Modality
from dynmm.catalogue.features import Features, LeftOut
from dynmm.errors import ConfigError, DataError, UnsupportedByData
from dynmm.interactions.fields import ITEM, VECTOR
from dynmm.interactions.tables import read_parquet

logger = logging.getLogger(__name__)

#: Other words that stand before the first "-" of a feature file, and what they stand for.
OTHER_WORDS: dict[str, Modality] = {
    "vision": IMAGE,
    "visual": IMAGE,
    "picture": IMAGE,
    "acoustic": AUDIO,
    "sound": AUDIO,
    "txt": TEXT,
}


#: A vector this many times as long as the median one is taken for a mistake.
_FAR = 1_000


def feature_files(folder: Path | None, modality: Modality) -> dict[str, Path]:
    """The feature files of a modality in a folder, by name, in the order of their names."""
    found: dict[str, Path] = {}
    for kind, name, path in _tables(folder):
        if kind == modality:
            found.setdefault(name, path)
    return dict(sorted(found.items()))


def unread_files(folder: Path | None, encoders: Mapping[Modality, str]) -> list[tuple[Modality, str, Path]]:
    """Modality, name and path of each feature file that no modality took.

    encoders: the name of what made the features of each modality, as `Features.encoder`.
    """
    return [
        (modality, name, path)
        for modality in MODALITIES
        for kind, name, path in _tables(folder)
        if kind == modality and encoders.get(modality) != f"precomputed:{name}"
    ]


def _tables(folder: Path | None) -> Iterator[tuple[str, str, Path]]:
    """Each parquet table in a folder: what stands before the first "-", as a modality where it is one, and behind."""
    if folder is not None and folder.is_dir():
        for path in sorted(folder.glob("*.parquet")):
            kind, _, name = path.stem.partition("-")
            yield OTHER_WORDS.get(kind, kind), name or kind, path


def feature_strays(folder: Path | None) -> list[str]:
    """What lies in a folder of feature files and is none, in sentences."""
    if folder is None or not folder.is_dir():
        return []
    told = []
    for path in sorted(folder.iterdir()):
        kind = path.stem.partition("-")[0]
        if path.name.startswith("."):
            continue
        if path.suffix != ".parquet":
            told.append(f"features/{path.name} is not read: feature files are parquet tables")
        elif (OTHER_WORDS.get(kind) or kind) not in MODALITIES:
            names = ", ".join(f"{one}-NAME.parquet" for one in MODALITIES)
            told.append(f"features/{path.name} is not read: feature files are called {names}")
    return told


def read_precomputed(
    folder: Path | None, modality: Modality, ids: Sequence[str], name: str | None = None, *, may_lack: bool = False
) -> Features:
    """One vector for each item that the file has one for.

    folder: of feature files. ids: I item ids in dense order. name: of the file behind its modality; without it,
    the first one. Quality is 1 where present: nothing is known of what the vectors were made from. Rows with NaN or
    infinite numbers, of another width than most, over 1,000 times as long as most, or of unknown items are left out,
    and each is told in `left_out`, unknown items in one line. Of an item that stands there twice the first row counts,
    as `notes` tell. Raises UnsupportedByData without a file, ConfigError for a name that there is not or that two files
    give, DataError for a file that is no table of vectors, or that has none of these items. may_lack: in that case all
    stay without, with vectors of width 0.
    """
    chosen, path = _chosen(folder, modality, name)
    items, columns, left_out, notes = _rows(path, modality, ids)
    width, values, kept, lost = _vectors(columns, path, modality, items)
    if not width and not may_lack:
        raise DataError(f"{path}, column {VECTOR!r}: no item of the catalogue has a vector there")
    vectors = np.zeros((len(ids), width), dtype=np.float32)
    present = np.zeros(len(ids), dtype=bool)
    dense = {item: number for number, item in enumerate(ids)}
    rows = np.array([dense[item] for item, keep in zip(items, kept, strict=True) if keep], dtype=np.int64)
    vectors[rows], present[rows] = values, True
    return Features(
        modality,
        f"precomputed:{chosen}",
        f"precomputed/{chosen}/{width}",
        vectors,
        present,
        present.astype(np.float32),
        None,
        (*left_out, *lost),
        notes,
    )


def _chosen(folder: Path | None, modality: Modality, name: str | None) -> tuple[str, Path]:
    files = feature_files(folder, modality)
    if not files:
        raise UnsupportedByData(
            f"encoders.{modality} is precomputed, but the data has no features/{modality}-NAME.parquet; "
            f"add one, or set encoders.{modality} to auto or off"
        )
    if name is None:
        name = next(iter(files))
        if len(files) > 1:
            others = ", ".join(list(files)[1:])
            logger.warning(
                "of several feature files for %s, %s is read; encoders.%s=precomputed:NAME takes another: %s",
                modality,
                files[name].name,
                modality,
                others,
            )
    if name not in files:
        raise ConfigError(f"there are no {modality} features {name!r}; there are: {', '.join(files)}")
    twins = [path.name for kind, other, path in _tables(folder) if (kind, other) == (modality, name)]
    if len(twins) > 1:
        raise ConfigError(
            f"{folder}: {' and '.join(twins)} are both the {modality} features {name!r}; rename or remove one of them"
        )
    return name, files[name]


def _rows(
    path: Path, modality: Modality, ids: Sequence[str]
) -> tuple[list[str], pl.Series, list[LeftOut], list[LeftOut]]:
    """The first row of each item of the catalogue: their ids, their vectors, what was left out, and what to note."""
    table = read_parquet(path, [ITEM, VECTOR])
    for column in (ITEM, VECTOR):
        if column not in table.columns:
            raise DataError(f"{path}: there is no column {column!r}; a feature file has {ITEM} and {VECTOR}")
    if not (table[ITEM].dtype == pl.String or table[ITEM].dtype.is_integer()):
        raise DataError(f"{path}, column {ITEM!r}: ids are text, not {table[ITEM].dtype}")
    table = table.with_columns(pl.col(ITEM).cast(pl.String))
    known = table[ITEM].is_in(pl.Series(ids, dtype=pl.String).implode())
    strangers = table.filter(~known.fill_null(False))[ITEM]
    left_out: list[LeftOut] = []
    if len(strangers):
        told = f"has a vector in {path.name} but is not in the catalogue, as {len(strangers):,} rows in all"
        left_out.append(LeftOut(str(strangers[0]), modality, told))
    table = table.filter(known.fill_null(False))
    first = table[ITEM].is_first_distinct()
    repeated = Counter(table.filter(~first)[ITEM].to_list())
    notes = [
        LeftOut(item, modality, f"stands {count + 1} times in {path.name}; the first row counts")
        for item, count in repeated.items()
    ]
    table = table.filter(first)
    return table[ITEM].to_list(), table[VECTOR], left_out, notes


def _vectors(
    column: pl.Series, path: Path, modality: Modality, items: list[str]
) -> tuple[int, NDArray[np.float32], NDArray[np.bool_], list[LeftOut]]:
    """Width, the sound vectors (K, W), which rows they are (R,), and a line for each of the others. No width: 0."""
    flat = _as_lists(column, path)
    lengths = flat.list.len()
    # An empty list is no vector, and has no say in the width. Of widths equally frequent the larger one.
    widths = Counter(lengths.filter(lengths > 0).to_list())
    width = max(widths.items(), key=lambda pair: (pair[1], pair[0]))[0] if widths else 0
    fitting = ((lengths == width) & (lengths > 0)).fill_null(False).to_numpy()
    values = flat.filter(pl.Series(fitting)).explode().to_numpy().reshape(int(fitting.sum()), width)
    finite = np.isfinite(values).all(axis=1)
    blank = finite & ~values.any(axis=1)
    sound = finite & ~blank
    lengths_of = np.linalg.norm(values.astype(np.float64), axis=1)
    usual = float(np.median(lengths_of[sound])) if sound.any() else 0.0
    # One of these would set the scale of all, and leave the others no difference that half precision can hold.
    far = sound & (lengths_of > _FAR * usual)
    sound &= ~far
    kept = fitting.copy()
    kept[fitting] = sound
    reasons = np.full(len(items), "", dtype=object)
    reasons[~fitting] = [
        f"has no vector in {path.name}" if not size else f"has {size} numbers in {path.name}, where others have {width}"
        for size in lengths.filter(pl.Series(~fitting)).to_list()
    ]
    reasons[fitting] = np.select(
        [far, blank],
        [f"is over {_FAR:,} times as long as most in {path.name}", f"has only zeros in {path.name}"],
        f"has NaN or infinite numbers in {path.name}",
    )
    lost = [LeftOut(items[row], modality, str(reasons[row])) for row in np.flatnonzero(~kept).tolist()]
    return width, values[sound], kept, lost


def _as_lists(column: pl.Series, path: Path) -> pl.Series:
    """Fixed-size or plain lists of any numbers as lists of float32. Missing numbers become NaN."""
    kind = column.dtype
    inner = kind.inner if isinstance(kind, pl.List | pl.Array) else None
    if inner is None or not inner.is_numeric() or (isinstance(kind, pl.Array) and len(kind.shape) != 1):
        raise DataError(f"{path}, column {VECTOR!r}: expected a list of numbers in each row, found {kind}")
    lists = column.cast(pl.List(pl.Float32))
    return lists.list.eval(pl.element().fill_null(float("nan")))
