"""The rows of the tables: each can be fitted, and each modality has one by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynmm.catalogue.content import MODALITIES
from dynmm.config import Config

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def _row(file: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return row


@pytest.mark.parametrize(
    "file", sorted(EXPERIMENTS.glob("*/*.json")), ids=lambda file: f"{file.parent.name}/{file.stem}"
)
def test_every_row_is_a_configuration(file: Path) -> None:
    row = _row(file)
    assert row["row"]
    assert row["what"]
    Config.of(row.get("config"))


def test_each_modality_has_a_row_by_itself() -> None:
    rows = map(_row, (EXPERIMENTS / "joint-parts").glob("*.json"))
    alone = [row["config"]["fusion"]["modalities"] for row in rows if "modalities" in row["config"].get("fusion", {})]
    assert sorted(alone) == sorted([one] for one in MODALITIES)
