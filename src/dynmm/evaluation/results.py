"""The outcome of one evaluation, and the JSON shape in which it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.comparisons import COMPARED, Comparison, compare
from dynmm.evaluation.ladder import pairs
from dynmm.evaluation.scores import Resampling, SystemScores, Users, chosen_cases, json_ready, means, summary
from dynmm.types import IntArray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What every system scored on the cases of one protocol.

    users: (B,) the user of each case. apart: cases that are counted and also listed apart, name -> (B,) mask.
    counts: further numbers to report. notes: sentences on how to read the result. compared: metrics on which
    systems are compared. depth: how far lists were asked for, and with it MRR. beside: evaluations that are
    always shown with this one.
    """

    protocol: str
    data_sha256: str
    users: IntArray
    systems: Sequence[SystemScores]
    depth: int
    apart: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    how: Resampling = field(default_factory=Resampling)
    margin: float | None = None
    compared: Sequence[str] = COMPARED
    beside: Sequence[Evaluation] = ()

    def comparisons(self) -> list[Comparison]:
        """Each rung of the ladder with the one below, and the highest with everything else."""
        names = [system.name for system in self.systems]
        users = Users(self.users)
        return compare(self.systems, pairs(names), users, metrics=self.compared, how=self.how, margin=self.margin)

    def to_json(self) -> dict[str, Any]:
        """`{"protocol", "data_sha256", "users", "systems", "comparisons", ...}` with plain values only."""
        users = Users(self.users)
        told = {
            "protocol": self.protocol,
            "data_sha256": self.data_sha256,
            "users": len(users),
            "cases": len(self.users),
            "depth": self.depth,
            "resamples": self.how.resamples,
            "compared": list(self.compared),
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "systems": summary(self.systems, users, self.how),
            "comparisons": [one.to_json() for one in self.comparisons()],
            "apart": apart_json(self.systems, self.users, self.apart),
        }
        if self.beside:
            told["beside"] = [one.to_json() for one in self.beside]
        plain: dict[str, Any] = json_ready(told)
        return plain


def apart_json(
    systems: Sequence[SystemScores], users: IntArray, apart: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Any]:
    """{name: {"cases", "systems": {system: {metric: mean}}}} of each group; no means for an empty group."""
    told: dict[str, Any] = {}
    for name, rows in apart.items():
        cases = int(rows.sum())
        group = [chosen_cases(system, rows) for system in systems] if cases else []
        told[name] = {"cases": cases, "systems": means(group, Users(users[rows]))}
    return told
