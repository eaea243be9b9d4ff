"""The exception tree. Everything that dynmm raises for a user to see stands here.

DynmmError
├── DataError              the data is wrong: names file, row, column, value and the mend
│   ├── EmptyDataError     nothing is left to work with
│   ├── UnsupportedByData  the data is fine but cannot support what was asked
│   └── RationaleUnreadable  what was given to be verified is no rationale: names the field
├── ConfigError            an unknown key or a value out of range
├── TrainingDiverged       a loss that is no longer a number
├── UnknownIdError         a user or item that the run has never seen
├── ArtefactError          a run on disk that cannot be trusted or read
│   ├── TamperedArtefact   a file's bytes are not the ones the manifest names
│   └── NewerArtefact      written by a newer dynmm: names the version needed
├── ProtocolMismatch       a run fitted for one split, asked about another
├── StorageError           the disk refused: full, read-only, gone
├── ModelError             a language model that cannot be loaded or run: names the file or the limit
└── MissingExtraError      an optional dependency is not installed: names the pip command
"""

from __future__ import annotations


class DynmmError(Exception):
    """Base of every error that dynmm raises on purpose."""


class DataError(DynmmError):
    """The data is wrong. The message names the file, row, column, value and the mend."""


class EmptyDataError(DataError):
    """Nothing is left to work with."""


class UnsupportedByData(DataError):
    """The data is sound but cannot support what was asked, e.g. a stream without timestamps."""


class RationaleUnreadable(DataError):
    """What was given to be verified is no rationale. The message names the field and what belongs there."""


class ConfigError(DynmmError):
    """An unknown configuration key, or a value out of range."""


class TrainingDiverged(DynmmError):
    """A training loss became NaN or infinite. The message names the epoch and the mend."""


class UnknownIdError(DynmmError):
    """A user or an item that this run has never seen."""


class ArtefactError(DynmmError):
    """A run on disk that cannot be read."""


class TamperedArtefact(ArtefactError):
    """A file of a run does not have the bytes that its manifest names."""


class NewerArtefact(ArtefactError):
    """A run written by a newer format than this version reads."""


class ProtocolMismatch(DynmmError):
    """A run was fitted for one split and asked to be evaluated under another."""


class StorageError(DynmmError):
    """The disk refused a write or a read: full, read-only or gone."""


class ModelError(DynmmError):
    """A language model that cannot be loaded or run. The message names the file or the limit, and the mend."""


class MissingExtraError(DynmmError):
    """An optional dependency is not installed. The message names the pip command."""


def reason(error: BaseException) -> str:
    """What is wrong, in words: a key that is missing says nothing by itself."""
    return f"it has no {error}, as where an earlier version wrote it" if isinstance(error, KeyError) else str(error)


def first_line(error: BaseException) -> str:
    """What an error says, in one line; with the next where the first only leads to it."""
    lines = [one.strip() for one in str(error).strip().splitlines()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])


def first_cause(error: BaseException) -> BaseException:
    """What an error was raised from, at the very first: without the mends that others have put behind it since."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
