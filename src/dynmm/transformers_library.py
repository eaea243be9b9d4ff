"""Models that others trained, by the transformers library: asked for, kept quiet, and their errors named."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from dynmm.errors import DynmmError, MissingExtraError, first_line
from dynmm.memory import ran_out

#: What to do about a folder that cannot be read, behind what is wrong with it.
MEND = "; copy the folder again, or take another model"


def transformers(extra: str) -> Any:
    """The library. extra: of dynmm, which brings it. Raises MissingExtraError."""
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError(
            f"pretrained models need the library transformers: pip install 'dynmm[{extra}]'"
        ) from error


@contextlib.contextmanager
def errors_named(kind: type[DynmmError], what: str, mend: str = "", *, own: bool) -> Iterator[None]:
    """Turn whatever is raised within the block into an error of this kind that begins with `what`.

    own: an error of dynmm's own, too; else it stays what it is, as running out of memory always does. Of files that
    others wrote the library raises anything: its own errors of validation, a division by zero, the plain Exception of
    its parts in Rust.
    """
    try:
        yield
    except Exception as error:
        if ran_out(error) or (isinstance(error, DynmmError) and not own):
            raise
        raise kind(f"{what}: {first_line(error)}{mend}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars and reports off the screen, and leave its settings as they were."""
    logs = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity(logs.CRITICAL)
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if bars:
            logs.enable_progress_bar()
