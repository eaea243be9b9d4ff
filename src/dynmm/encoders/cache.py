"""What encoders made of each content, remembered by the hash of that content.

One SQLite file holds what one encoder made, so that files stay few, a killed run loses one batch at most, and
two processes can write at the same moment. Each row carries a checksum: what is damaged is encoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import StorageError
from dynmm.stages import default_root
from dynmm.storage import named_disk_errors

logger = logging.getLogger(__name__)

#: Enters the file's name: another layout of rows gets other files.
_LAYOUT = 1
_SCHEMA = "CREATE TABLE IF NOT EXISTS contents (key BLOB PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL)"
#: Seconds that a write waits for another process to finish its own.
_PATIENCE = 60.0
#: SQLite takes at most so many values in one question.
_ASKED_AT_ONCE = 500
#: quality, length of the vector, of the attributes (-1: none) and of the refusal in bytes.
_HEAD = struct.Struct("<diii")
#: What SQLite says where it is not the content of the file that is wrong.
_DISK = (sqlite3.OperationalError,)


@dataclass(frozen=True, eq=False)
class Known:
    """What became of one content.

    vector: (W,) float32, None where it was refused. quality: in [0, 1]. attributes: (A,) float32, None without
    names. refusal: why it was refused, "" where it was not.
    """

    vector: NDArray[np.float32] | None
    quality: float = 0.0
    attributes: NDArray[np.float32] | None = None
    refusal: str = ""


def content_key(raw: bytes) -> bytes:
    """The name of a content in the cache: the sha256 of its bytes."""
    return hashlib.sha256(raw).digest()


class FeatureCache:
    """The remembered features under one folder, shared safely by any number of processes."""

    def __init__(self, root: Path | None = None) -> None:
        """root: of all caches; None for the user's (`stages.default_root`). Nothing is written yet."""
        self.root = (default_root() if root is None else Path(root)) / "features"

    @contextlib.contextmanager
    def shelf(self, identity: str) -> Iterator[Shelf]:
        """What was made under one identity, which names all that vectors follow from beside their content.

        Raises StorageError where the disk refuses.
        """
        name = hashlib.sha256(f"{_LAYOUT}/{identity}".encode()).hexdigest()[:32]
        with named_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        shelf = Shelf(self.root / f"{name}.sqlite")
        try:
            yield shelf
        finally:
            shelf.close()


class Shelf:
    """One encoder's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = self._opened()

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Known]:
        """Those of these contents that are known and whole. Raises StorageError."""
        found: dict[bytes, Known] = {}
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            asked = list(keys[start : start + _ASKED_AT_ONCE])
            for key, body, checksum in self._rows(asked):
                known = _unpacked(key, body, checksum)
                if known is None:
                    logger.warning("%s: a damaged entry is made again", self.path)
                else:
                    found[key] = known
        return found

    def put(self, known: Mapping[bytes, Known]) -> dict[bytes, Known]:
        """Remember these, all or none, durably enough for a killed process, and return what is remembered.

        That is what another process made where it was quicker. The last bits hang on what was encoded together, and
        who comes later must find what both go on with. Raises StorageError.
        """
        with self._mended():
            return self._settled(known)
        return self._settled(known)

    def _settled(self, known: Mapping[bytes, Known]) -> dict[bytes, Known]:
        with self._connection:  # one transaction, and nobody else writes in between
            self._connection.execute("BEGIN IMMEDIATE")
            keys = list(known)
            there: dict[bytes, Known] = {}
            for start in range(0, len(keys), _ASKED_AT_ONCE):
                for row in self._asked(keys[start : start + _ASKED_AT_ONCE]):
                    if (whole := _unpacked(*row)) is not None:
                        there[row[0]] = whole
            rows = [(key, body := _packed(one), _checksum(key, body)) for key, one in known.items() if key not in there]
            self._connection.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", rows)
        return {**known, **there}

    def _rows(self, keys: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        with self._mended():
            return self._asked(keys)
        return []

    def _asked(self, keys: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        marks = ", ".join("?" * len(keys))
        return self._connection.execute(
            f"SELECT key, body, checksum FROM contents WHERE key IN ({marks})", keys
        ).fetchall()

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except _DISK as error:
            raise self._refused(error) from error
        except sqlite3.DatabaseError as error:
            return self._anew(error)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_PATIENCE)
        try:
            _write_ahead(connection)
            # A power cut may cost the last batches, never the file.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _mended(self) -> Iterator[None]:
        """A file that SQLite cannot read is begun anew and empty, and the block ends where it was."""
        try:
            yield
        except _DISK as error:
            raise self._refused(error) from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            self._connection = self._anew(error)

    def _anew(self, error: Exception) -> sqlite3.Connection:
        logger.warning("the cache %s is damaged (%s); it is begun anew", self.path, error)
        with named_disk_errors(self.path):
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        try:
            return self._connected()
        except sqlite3.Error as again:
            raise self._refused(again) from again

    def _refused(self, error: Exception) -> StorageError:
        return StorageError(
            f"the cache {self.path} cannot be used: {error}; free some space, check its permissions, or name "
            "another folder in DYNMM_CACHE"
        )


def _packed(known: Known) -> bytes:
    refusal = known.refusal.encode("utf-8", "replace")
    vector = np.empty(0, np.float32) if known.vector is None else known.vector
    attributes = np.empty(0, np.float32) if known.attributes is None else known.attributes
    named = -1 if known.attributes is None else len(attributes)
    head = _HEAD.pack(known.quality, -1 if known.vector is None else len(vector), named, len(refusal))
    return head + vector.astype("<f4").tobytes() + attributes.astype("<f4").tobytes() + refusal


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(key + body, digest_size=8).digest()


def _unpacked(key: object, body: object, checksum: object) -> Known | None:
    """A row as it was put, None where it is not."""
    if not (isinstance(key, bytes) and isinstance(body, bytes) and checksum == _checksum(key, body)):
        return None
    quality, width, named, letters = _HEAD.unpack_from(body)
    numbers = np.frombuffer(body, "<f4", max(width, 0) + max(named, 0), _HEAD.size).astype(np.float32)
    refusal = body[len(body) - letters :].decode() if letters else ""
    return Known(
        None if width < 0 else numbers[:width], quality, None if named < 0 else numbers[max(width, 0) :], refusal
    )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. Where two switch at once SQLite gives up on one without waiting: it tries again."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
