"""Frozen candidate files of the `sampled` protocol: one positive and some negatives for each test case."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.errors import ArtefactError, ProtocolMismatch, TamperedArtefact, UnsupportedByData
from dynmm.interactions.cases import Cases
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import ITEM, USER
from dynmm.interactions.splits.split import Split
from dynmm.interactions.tables import read_parquet
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.randomness import generator
from dynmm.storage import named_disk_errors, new_folder, sha256_of, write_json

NEGATIVES = 99
#: Of the same draw the first 19 are the candidates of the "1 + 19" reading.
FEW_NEGATIVES = 19

_TABLE, _RECORD = "candidates.parquet", "candidates.json"
_NEGATIVES_COLUMN = "negatives"


@dataclass(frozen=True, eq=False)
class Candidates:
    """For each of Q test cases, in their order, the positive and n negatives.

    positives: (Q,) int32. negatives: (Q, n) int32, uniform over the items that are in none of the user's
    events, distinct in a row, in random order: the first m of them are a draw of m. seed: what drew them.
    """

    positives: NDArray[np.int32]
    negatives: NDArray[np.int32]
    seed: int

    def __len__(self) -> int:
        return len(self.positives)

    def of(self, case: int, negatives: int = NEGATIVES) -> NDArray[np.int32]:
        """(1 + negatives,) dense items by id, so that their order does not tell which one is the positive."""
        return np.sort(np.append(self.negatives[case, :negatives], self.positives[case]))


def draw_candidates(split: Split, seed: int, negatives: int = NEGATIVES) -> Candidates:
    """Draw the negatives of each test case. Cases must have one target.

    Raises UnsupportedByData where a case has several targets, or a user leaves too few items to draw.
    """
    test = _test_of(split)
    source = split.source
    taken_users, taken = _distinct_pairs(source)
    counts = np.bincount(taken_users, minlength=source.n_users)
    free = source.n_items - counts[test.users]
    if len(free) and free.min() < negatives:
        user = source.users.decode(int(test.users[free.argmin()]))
        raise UnsupportedByData(
            f"the sampled protocol draws {negatives} items outside a user's events, and user {user!r} leaves only "
            f"{free.min()} of {source.n_items:,}; use full ranking"
        )
    ranks = _distinct_ranks(free, negatives, generator(seed, "candidates", negatives))
    return Candidates(test.target_items, _unrank(ranks, test.users, taken, counts, source.n_items), seed)


def _test_of(split: Split) -> Cases:
    if split.test is None:
        raise UnsupportedByData(f"the sampled protocol needs test cases, and split {split.name!r} has none; use 'full'")
    if (np.diff(split.test.target_offsets) != 1).any():
        raise UnsupportedByData(
            f"the sampled protocol ranks one target among negatives; split {split.name!r} ({split.variant}) has cases "
            "with several. Use split 'full'"
        )
    return split.test


def _distinct_pairs(dataset: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users and items of the distinct (user, item) pairs of all events, sorted by user, then item."""
    pairs = np.unique(dataset.events.users.astype(np.int64) * dataset.n_items + dataset.events.items)
    return pairs // dataset.n_items, pairs % dataset.n_items


def _distinct_ranks(free: NDArray[np.int64], n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(Q, n) distinct numbers below free[q] in each row, in random order. free: (Q,) at least n each."""
    ranks = np.empty((len(free), n), np.int64)
    # Where little is free, a permutation; elsewhere repeats are rare and drawn again.
    tight = np.flatnonzero(free < 4 * n)
    if len(tight):
        keys = random.random((len(tight), 4 * n))
        keys[np.arange(4 * n) >= free[tight, None]] = 2.0
        ranks[tight] = np.argsort(keys, axis=1)[:, :n]
    rows = np.flatnonzero(free >= 4 * n)
    ranks[rows] = random.integers(0, free[rows, None], (len(rows), n))
    while len(rows):
        repeated = _repeats(ranks[rows])
        again = repeated.any(axis=1)
        rows, repeated = rows[again], repeated[again]
        fresh = random.integers(0, free[rows, None], repeated.shape)
        ranks[rows] = np.where(repeated, fresh, ranks[rows])
    return ranks


def _repeats(ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks on the values that stand earlier in their row."""
    order = np.argsort(ranks, axis=1, kind="stable")
    ordered = np.take_along_axis(ranks, order, axis=1)
    same = np.zeros(ranks.shape, bool)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    marks = np.zeros(ranks.shape, bool)
    np.put_along_axis(marks, order, same, axis=1)
    return marks


def _unrank(
    ranks: NDArray[np.int64],
    users: NDArray[np.int32],
    taken: NDArray[np.int64],
    counts: NDArray[np.int64],
    n_items: int,
) -> NDArray[np.int32]:
    """The rank-th item, counting from 0, among those that the user has not taken.

    taken: items by user, then by id. Before the j-th taken item t_j lie t_j - j free ones, so that the item of
    rank r is r plus the number of j with t_j - j <= r. All rows are looked up in one sorted array.
    """
    starts = np.concatenate([[0], np.cumsum(counts)])
    owners = np.repeat(np.arange(len(counts)), counts)
    free_before = taken - (np.arange(len(taken)) - starts[owners])
    keys = owners * (n_items + 1) + free_before
    sought = users.astype(np.int64)[:, None] * (n_items + 1) + ranks
    passed = np.searchsorted(keys, sought.ravel(), side="right").reshape(ranks.shape) - starts[users][:, None]
    return np.asarray(ranks + passed, np.int32)


def split_sha256(split: Split) -> str:
    """Hex digest of the data and of the part that each event has."""
    digest = hashlib.sha256(data_sha256(split.source).encode())
    digest.update(f"{split.name}/{split.variant}".encode())
    digest.update(split.parts.tobytes())
    return digest.hexdigest()


def write_candidates(folder: Path, candidates: Candidates, split: Split) -> str:
    """Freeze the candidates in a folder of their own, with their hash, which is returned. Raises StorageError.

    The table has a row per case: user_id, item_id (the positive), negatives (list), all as outside ids.
    """
    test, source = _test_of(split), split.source
    ids = pl.Series(source.items.ids, dtype=pl.String)
    table = pl.DataFrame(
        {
            USER: [source.users.ids[user] for user in test.users.tolist()],
            ITEM: ids.gather(candidates.positives),
            _NEGATIVES_COLUMN: ids.gather(candidates.negatives.ravel()).reshape(candidates.negatives.shape),
        }
    ).with_columns(pl.col(_NEGATIVES_COLUMN).cast(pl.List(pl.String)))
    with new_folder(folder) as beside, named_disk_errors(folder):
        table.write_parquet(beside / _TABLE)
        digest = sha256_of(beside / _TABLE)
        record = {
            "cases": len(candidates),
            "negatives": candidates.negatives.shape[1],
            "seed": candidates.seed,
            "sha256": digest,
            "split_sha256": split_sha256(split),
        }
        write_json(beside / _RECORD, record)
    return digest


def load_candidates(folder: Path, split: Split) -> Candidates:
    """Read frozen candidates back.

    Raises ArtefactError where the folder cannot be read, TamperedArtefact where the table's bytes are not
    those recorded, ProtocolMismatch where it was drawn for another split or other data.
    """
    record = _read_record(folder / _RECORD)
    if not (folder / _TABLE).is_file():
        raise ArtefactError(f"{folder / _TABLE} is missing; draw the candidates again")
    if sha256_of(folder / _TABLE) != record["sha256"]:
        raise TamperedArtefact(f"{folder / _TABLE} does not have the bytes that {_RECORD} names; draw it again")
    if record["split_sha256"] != split_sha256(split):
        raise ProtocolMismatch(
            f"{folder} was drawn for another split or other data than {split.name!r} of {split.source.info.name!r}; "
            "draw candidates for this one"
        )
    table = read_parquet(folder / _TABLE)
    items = split.source.items
    negatives = _dense(table[_NEGATIVES_COLUMN].explode(), items).reshape(len(table), record["negatives"])
    return Candidates(_dense(table[ITEM], items), negatives, record["seed"])


def _dense(ids: pl.Series, vocabulary: Vocabulary) -> NDArray[np.int32]:
    known = pl.Enum(pl.Series(vocabulary.ids, dtype=pl.String))
    return np.asarray(ids.cast(known).to_physical().cast(pl.Int32).to_numpy(), np.int32)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} is not a readable record of candidates ({error}); draw them again") from error
    missing = {"sha256", "split_sha256", "negatives", "seed"} - set(record if isinstance(record, dict) else ())
    if missing:
        raise ArtefactError(f"{path} lacks {', '.join(sorted(missing))}; draw the candidates again")
    return dict(record)
