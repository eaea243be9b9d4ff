"""Finding and opening the files of a source, plain or gzipped."""

from __future__ import annotations

import codecs
import gzip
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dynmm.errors import DataError, EmptyDataError

_CHUNK = 1 << 20


def existing(path: Path) -> Path:
    """The path, if something is there. Raises DataError for a missing path or an archive still packed."""
    if not path.exists():
        raise DataError(f"{path} does not exist; give the path of the downloaded file or folder")
    if path.is_file() and zipfile.is_zipfile(path):
        raise DataError(f"{path} is a zip archive; extract it and give the folder")
    return path


def folder_holding(source: Path, names: Sequence[str]) -> Path | None:
    """`source` or one of its direct subfolders, whichever holds one of the named files. None where none does."""
    if source.is_file():
        return source.parent if source.name in names else None
    for folder in [source, *sorted(child for child in source.iterdir() if child.is_dir())]:
        if any((folder / name).is_file() for name in names):
            return folder
    return None


def optional(folder: Path, name: str) -> Path | None:
    """The named file, or the same gzipped, or None."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def is_gzip(path: Path) -> bool:
    """True where the first bytes say gzip, whatever the name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """The plain bytes of a file, unpacked where it is gzipped. Raises DataError where the gzip is broken."""
    try:
        with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); download it again") from error


def require_content(path: Path) -> Path:
    """The path, if it is a file with any content. Raises DataError for a folder, EmptyDataError."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the path of the file in it")
    with open_binary(path) as file:
        if not file.read(4096).strip():
            raise EmptyDataError(f"{path} is empty; check the download or the export that wrote it")
    return path


def is_utf8(path: Path) -> bool:
    """True where the whole file decodes as UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_binary(path) as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and raw lines without their line ends."""
    with open_binary(path) as file:
        for number, line in enumerate(file, start=1):
            yield number, line.rstrip(b"\r\n")


def bare_name(path: Path) -> str:
    """The name of a file without folders and without .gz and the extension; of a folder, its name."""
    if path.is_dir():
        return path.resolve().name
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] if "." in name else name
