"""The records of a separated file whose fast reading failed: what is broken is left out, and nothing is made up.

A quoted field may hold line breaks, so a record is not a line. Where a quote is broken, two readings of what follows
are possible: the quote is still open and the next line is text, or it was a stray character and the next line is a
row. Both are carried along, line by line, until one of them cannot be. Text may look like a row, so until then no
line is taken for one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Literal

from dynmm.interactions.importers.files import open_binary

#: The line on which a record begins (1 first), its fields, and what is wrong with it; None where it is sound.
Record = tuple[int, list[str], str | None]

_BYTES = "is not UTF-8 text"
_QUOTES = "has a quote that is not closed or not escaped"


def records_of(path: Path, width: int, separator: str, quote: str | None) -> Iterator[Record]:
    """Every record of the file, the header included, in one pass. Blank lines are records without fields.

    width: fields of a whole row. A broken record is told on the line where it begins, and each further line that may
    be part of it on its own.
    """
    quoting: Literal[0, 3] = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL
    with open_binary(path) as file:
        # Bytes that are no text become surrogates, so that they spoil their record and not the reading.
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=separator, quotechar=quote, quoting=quoting, strict=True)
        broken = None if quote is None else _Broken(lines, width, separator, quote)
        while True:
            begins = lines.begin_record()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield begins, [], _QUOTES
                if broken is not None:
                    yield from broken.until_sound(begins)
                continue
            yield _judged(begins, fields)


def _judged(line: int, fields: list[str]) -> Record:
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return line, [], _BYTES
    return line, fields, None


class _Lines:
    """Lines one by one, which remembers those of the record that is being read."""

    def __init__(self, stream: IO[str]) -> None:
        self.number = 0
        self.taken: list[str] = []
        self._stream = stream

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._stream)
        self.number += 1
        self.taken.append(line)
        return line

    def begin_record(self) -> int:
        """Forget the lines so far. Returns the number of the line that comes next."""
        self.taken.clear()
        return self.number + 1


class _Broken:
    """The way on from a broken record to the next sound one."""

    def __init__(self, lines: _Lines, width: int, separator: str, quote: str) -> None:
        self._lines, self._width, self._separator, self._quote = lines, width, separator, quote
        within = rf"(?:[^{re.escape(quote)}]|{re.escape(quote * 2)})*+"
        quoted = f"{re.escape(quote)}{within}{re.escape(quote)}"
        field = rf"(?:{quoted}|[^{re.escape(quote)}{re.escape(separator)}]*+)"
        #: A line of whole fields, of which the last may stay open. Possessive, so that it never backtracks.
        self._sound = re.compile(f"(?:{field}{re.escape(separator)})*+(?:{field}|(?P<open>{re.escape(quote)}{within}))")

    def until_sound(self, begins: int) -> Iterator[Record]:
        """The lines after a broken record that began on line `begins`, until it is sure where the next one begins."""
        first, *others = list(self._lines.taken)
        if self._after(first, within=False) is False:  # the quotes are sound; something else was wrong with the row
            return
        self._lines.taken.clear()
        within = f"may be text of the quote in line {begins} that is not closed or not escaped"
        readings = {True, False}
        for number, line in enumerate(chain(others, self._further()), start=begins + 1):
            ends = {reading: self._after(line, within=reading) for reading in readings}
            possible = {reading: end for reading, end in ends.items() if end is not None}
            if possible == {False: False}:
                fields = next(csv.reader([line], delimiter=self._separator, quotechar=self._quote))
                if len(fields) == self._width:
                    yield _judged(number, fields)
                    return
                possible = {}  # a stray pair of quotes in the text would look the same
            if line.strip():
                yield number, [], within
            readings = set(possible.values()) or {True, False}
            if readings == {False}:
                return

    def _further(self) -> Iterator[str]:
        for line in self._lines:
            self._lines.taken.clear()
            yield line

    def _after(self, line: str, *, within: bool) -> bool | None:
        """Whether a quote is open after the line, None where it cannot be read so. within: one is open before it."""
        read = self._sound.fullmatch(self._quote * within + line.rstrip("\r\n"))
        return None if read is None else read["open"] is not None
