"""A world's configuration from a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from dynmm.errors import ConfigError
from dynmm.simulation.settings import WorldConfig


def read_world(path: str | Path) -> WorldConfig:
    """Read a WorldConfig. Raises ConfigError, which names the file, the key and what is wrong with it."""
    try:
        said = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not readable JSON ({error}); give a file like examples/worlds/small.json"
        ) from None
    try:
        return WorldConfig.model_validate(said)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_problems(error))}") from None


def _problems(error: ValidationError) -> list[str]:
    problems = []
    for one in error.errors():
        key = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            known = ", ".join(WorldConfig.model_fields)
            problems.append(f"unknown key {key!r}" + (f"; known: {known}" if len(one["loc"]) == 1 else ""))
        else:
            what = one["msg"].removeprefix("Value error, ")
            problems.append(f"{key}: {what}" if key else what)
    return problems
