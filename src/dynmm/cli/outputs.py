"""Files that a command writes at its end, checked before its work, so that minutes of measuring are not lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dynmm.errors import ConfigError

#: How the name of the figure beside the JSON ends.
FIGURE = ".svg"


def check_outputs(out: Path | None, *, figure: bool = False, report: Path | None = None) -> None:
    """Refuse, before any work, what cannot be written, and two results in one file.

    out: of the JSON. figure: one is written beside it. Raises ConfigError.
    """
    if figure and out is not None and out.suffix.lower() == FIGURE:
        raise ConfigError(
            f"--out {out}: the figure takes this name; give that of the JSON, such as {out.with_suffix('.json')}"
        )
    beside = out.with_suffix(FIGURE) if figure and out is not None and out.name else None  # "." has no name
    asked = {"--out": out, "the figure of --out": beside, "--report": report}
    _check({option: path for option, path in asked.items() if path is not None})


def _check(paths: Mapping[str, Path]) -> None:
    taken: dict[Path, str] = {}
    for option, path in paths.items():
        near = next(one for one in path.absolute().parents if one.exists())
        device = path.exists() and not path.is_file()  # such as /dev/null: written to, and not replaced
        if path.is_dir() or not near.is_dir() or not os.access(path if device else near, os.W_OK):
            why = "it is a folder" if path.is_dir() else "no file can be written there"
            raise ConfigError(f"{option} {path}: {why}, so nothing was measured; name another place")
        other = taken.setdefault(path.resolve(), option)
        if other != option and not device:
            raise ConfigError(f"{option} {path}: {other} is written there, too; name two files")
