"""Files of a log, damaged in one place, and what opening them may give.

A log that was killed is damaged in one place. Then it is refused by name, or gives the records from the first
up to some place, and goes on from there.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynmm.errors import ArtefactError
from dynmm.stream.events import Entry, Event, Mark
from dynmm.stream.sqlite_log import SqliteLog
from dynmm.testing.contract import require

#: Memory instead of a disk where there is some: thousands of small logs are opened, and each opening syncs.
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Killed:
    """The bytes of a log that was not closed: most of it in the file, the rest in the write-ahead log alone."""

    files: dict[str, bytes]
    records: list[Entry | Mark]

    def flipped(self, name: str, bit: int) -> dict[str, bytes]:
        """One bit of one file turned."""
        content = bytearray(self.files[name])
        content[bit // 8] ^= 1 << bit % 8
        return {**self.files, name: bytes(content)}

    def cut(self, name: str, length: int) -> dict[str, bytes]:
        """One file ends early."""
        return {**self.files, name: self.files[name][:length]}

    def random_bit(self, generator: random.Random) -> dict[str, bytes]:
        """A random bit of all files turned."""
        names = sorted(self.files)
        name = generator.choices(names, [len(self.files[one]) for one in names])[0]
        return self.flipped(name, generator.randrange(8 * len(self.files[name])))


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder that forgets, and syncs at once."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def killed(folder: Path) -> Killed:
    """Nine batches in the file, and three more in the write-ahead log."""
    path = folder / "log"
    with SqliteLog(path) as log:
        for start in range(0, 90, 10):
            log.append(_events(start), received=start)
            log.mark("window", {"start": start})
    (folder / "log.seal").unlink()
    log = SqliteLog(path)
    for start in range(90, 120, 10):
        log.append(_events(start), received=start)
        log.mark("window", {"start": start})
    copied = {name: (folder / name).read_bytes() for name in ("log", "log-wal")}
    records = list(log.read())
    log.close()
    return Killed(copied, records)


def closed(folder: Path, *, sealed: bool) -> Killed:
    """The bytes of a log that was closed: all of it in the file, with the seal or without."""
    path = folder / "closed"
    path.mkdir()
    with SqliteLog(path / "log") as log:
        for start in range(0, 120, 10):
            log.append(_events(start), received=start)
            log.mark("window", {"start": start})
        records = list(log.read())
    names = ("log", "log.seal") if sealed else ("log",)
    return Killed({name: (path / name).read_bytes() for name in names}, records)


def _events(start: int) -> list[Event]:
    return [Event(f"e{n}", f"u{n % 7}", f"i{n % 11}", n) for n in range(start, start + 10)]


def opened(folder: Path, files: dict[str, bytes], records: list[Entry | Mark], *, read_only: bool = False) -> str:
    """What became of it: `whole`, `prefix`, or the name of a refusal. Fails where it was anything else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        with SqliteLog(folder / "log", read_only=read_only) as log:
            found = list(log.read())
            require(len(found) == log.offset + log.marks, "the log tells of records that it does not give")
            if not read_only:
                _goes_on(log, found)
    except ArtefactError as error:
        require(str(folder / "log") in str(error), f"a refusal names the file: {error}")
        return type(error).__name__
    require(found == records[: len(found)], "the log gave what never was in it")
    return "whole" if len(found) == len(records) else "prefix"


def _goes_on(log: SqliteLog, found: list[Entry | Mark]) -> None:
    """Known events are still known, and what is appended now is read behind what was there."""
    entries = [record for record in found if isinstance(record, Entry)]
    again = log.append([entry.event for entry in entries])
    known = tuple(entry.event.id for entry in entries)
    require(again.duplicates == known, "the log takes no event twice")
    log.append([Event("fresh", "u", "i", None)], received=0)
    fresh = Entry(len(entries), Event("fresh", "u", "i", None), 0)
    require(list(log.read()) == [*found, fresh], "what is appended now is read behind what was there")
