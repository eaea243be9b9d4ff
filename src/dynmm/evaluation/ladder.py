"""The ladder: what each rung adds to the one below, then every comparison system, won or lost.

Later rungs join by their name's place in `RUNGS` alone. Works on the JSON of any evaluation, so a saved
result gives the same table as a fresh one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

WHOLE = "dynmm"

#: Cumulative, lowest first. `dynmm/static` is everything but the adapter, `dynmm` the whole.
STATIC = "dynmm/static"
RUNGS = ("dynmm/backbone", "dynmm/joint", "dynmm/evidence", "dynmm/rerank", STATIC, WHOLE)

#: The whole with fresh histories whose counts and weights stay as they were at the fit.
FROZEN = "dynmm/frozen"

_FOOT = (
    "[low, high]: 95 % interval over users, paired bootstrap. "
    "*: paired t, p < .05 after Holm's correction over all comparisons; never on an underpowered one. "
    "no gain: the interval covers zero. "
    "underpowered: smaller than what so many users would find in 4 of 5 cases."
)


@dataclass(frozen=True)
class Table:
    """A table of words. rows: as wide as header. foot: how to read it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""

    def to_text(self) -> str:
        """Columns padded with spaces, for a terminal."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        told = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        told.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*told, *([self.foot] if self.foot else [])])

    def to_markdown(self) -> str:
        """A pipe table; pipes within cells are escaped."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        told = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        return "\n".join([*told, *(["", self.foot] if self.foot else [])])


def order(names: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Rungs from the lowest, then the whole's own variants (`dynmm/...`), then the others, as they came."""
    rungs = [name for name in RUNGS if name in names]
    rest = [name for name in names if name not in RUNGS]
    return rungs, [n for n in rest if n.startswith(f"{WHOLE}/")], [n for n in rest if not n.startswith(f"{WHOLE}/")]


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Who is compared with whom, as (ours, theirs): each rung with the one below; the highest rung with every
    variant and every other system. Without any rung the first system is compared with the rest."""
    rungs, variants, others = order(names)
    steps = [(upper, lower) for lower, upper in pairwise(rungs)]
    if not names:
        return []
    top = rungs[-1] if rungs else [*variants, *others][0]
    return steps + [(top, name) for name in [*variants, *others] if name != top]


def ladder(result: Mapping[str, Any], metrics: Sequence[str] = ()) -> Table:
    """The table of one evaluation, from its JSON with `systems` and `comparisons`.

    metrics: the columns, by default those on which the evaluation compares.
    """
    systems = result["systems"]
    rungs, variants, others = order(list(systems))
    wanted = metrics or result.get("compared", ("hit@10", "ndcg@10"))
    shown = [metric for metric in wanted if all(metric in scores for scores in systems.values())]
    if shown:
        others = sorted(others, key=lambda name: -systems[name][shown[0]]["mean"])
    against = {upper: (upper, lower) for lower, upper in pairwise(rungs)}
    top = pairs(list(systems))[-1][0] if pairs(list(systems)) else ""
    against |= {name: (top, name) for name in [*variants, *others] if name != top}
    found = {(c["ours"], c["theirs"], c["metric"]): c for c in result["comparisons"]}
    rows = []
    for name in [*rungs, *variants, *others]:
        pair = against.get(name)
        # The highest rung is the whole under another name, and was compared as the whole.
        tries = [] if pair is None else [pair, (WHOLE, pair[1])]
        pair = next((one for one in tries if any((*one, metric) in found for metric in shown)), None)
        row = [_label(name, rungs), *(_score(systems[name][metric]) for metric in shown)]
        row.append(f"{pair[0]} - {pair[1]}" if pair else "")
        row += [_step(found.get((*pair, metric))) if pair else "" for metric in shown]
        rows.append(tuple(row))
    header = ("system", *shown, "step", *(f"gain in {metric}" for metric in shown))
    return Table(header, tuple(rows), _FOOT)


def averaged_over_users(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON of a stream in which every user has the same weight, however active, as `ladder` reads it."""
    return {**result, "systems": result["systems_by_user"], "comparisons": result["comparisons_by_user"]}


def _label(name: str, rungs: Sequence[str]) -> str:
    return f"+ {name}" if name in rungs[1:] and name != WHOLE else name


def _score(cell: Mapping[str, Any]) -> str:
    return f"{cell['mean']:.4f}{_bounds(cell['ci95'], '.4f')}" if cell["mean"] is not None else "none"


def _step(comparison: Mapping[str, Any] | None) -> str:
    if comparison is None:
        return ""
    star = "*" if comparison["significant"] else ""
    bounds = _bounds(comparison["ci95"], "+.4f")
    return f"{comparison['difference']:+.4f}{bounds} {comparison['verdict']}{star}"


def _bounds(interval: Sequence[float | None], form: str) -> str:
    low, high = interval
    return "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"
