"""What is lost when a modality is missing or wrong: one exam, sat once under each condition of the features.

Systems come in under conditions, and only rankings are looked at: how a condition is brought about is not known
here. Losses are differences of the same users' answers, in points: hundredths of a metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynmm.catalogue.content import MODALITIES, Modality
from dynmm.catalogue.corruption import FULL, Condition, Kind
from dynmm.errors import ConfigError
from dynmm.evaluation.comparisons import Comparison, compare
from dynmm.evaluation.ladder import Table
from dynmm.evaluation.protocols import Exam, Progress, run
from dynmm.evaluation.ranking import CHUNK
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Resampling, Users, json_ready, summary
from dynmm.evaluation.statistics import NonInferiority, non_inferiority
from dynmm.system import System

RATES = (0.25, 0.5, 0.75, 1.0)
KINDS: tuple[Kind, ...] = ("drop", "noise", "wrong")

#: The metric of the margins, and the loss in it that is accepted where these modalities are all gone.
MARGIN_METRIC = "hit@10"
MARGINS: Mapping[frozenset[Modality], float] = {
    frozenset[Modality](("image",)): 0.005,
    frozenset[Modality](("text",)): 0.010,
    frozenset[Modality](("text", "image")): 0.020,
}

_FOOT = (
    "loss: in points, full less the condition, [low, high] its 95 % interval over users, paired bootstrap. "
    "*: paired t, p < .05 after Holm's correction over all conditions and metrics; never on an underpowered one. "
    "claim: one-sided paired t test, 5 %, that the loss is below the margin; each claim is tested by itself."
)
_FOOT_MISSING = "further loss: in points, of the wrong modality against the missing one, at the same rate."


def conditions(
    modalities: Sequence[Modality], *, rates: Sequence[float] = RATES, kinds: Sequence[Kind] = KINDS
) -> list[Condition]:
    """Full, every modality under every kind at every rate, and, of several, all of them dropped together."""
    there = tuple(modality for modality in MODALITIES if modality in modalities)
    used = [rate for rate in rates if rate > 0]
    alone = [Condition(kind, (one,), rate) for one in there for kind in kinds for rate in used]
    together = [Condition("drop", there, rate) for rate in used] if len(there) > 1 and "drop" in kinds else []
    return [FULL, *alone, *together]


def asked_conditions(dropped: Sequence[str], corrupted: Sequence[str]) -> list[Condition]:
    """From ``MODALITY`` or ``MODALITY=RATE`` on a command line; without a rate a curve over `RATES`.

    Of several dropped modalities also all of them together, at the rates that they share; beside each corrupted
    one the same dropped, to compare with. Raises ConfigError.
    """
    missing = [_asked(text) for text in dropped]
    found = [Condition("drop", (one,), rate) for one, rates in missing for rate in rates]
    if len({one for one, _ in missing}) > 1:
        together = tuple(one for one in MODALITIES if one in {name for name, _ in missing})
        shared = [rate for rate in missing[0][1] if all(rate in rates for _, rates in missing)]
        found += [Condition("drop", together, rate) for rate in shared]
    for one, rates in map(_asked, corrupted):
        found += [Condition(kind, (one,), rate) for kind in KINDS for rate in rates]
    return [FULL, *dict.fromkeys(found)]


def _asked(text: str) -> tuple[Modality, tuple[float, ...]]:
    name, equals, rate = text.partition("=")
    if name not in MODALITIES:
        raise ConfigError(f"{name!r} is no modality; use {', '.join(MODALITIES)}, e.g. image or image=0.5")
    modality = MODALITIES[MODALITIES.index(name)]
    if not equals:
        return modality, RATES
    try:
        return modality, (float(rate),)
    except ValueError:
        raise ConfigError(f"{text!r}: {rate!r} is no share of the items; use a number from 0 to 1") from None


@dataclass(frozen=True, eq=False)
class Robustness:
    """One exam under each condition. evaluation: its systems are the conditions, by name, in this order.

    margins: the loss of `MARGIN_METRIC` that is accepted without these modalities.
    """

    evaluation: Evaluation
    conditions: Sequence[Condition]
    margins: Mapping[frozenset[Modality], float] = field(default_factory=lambda: MARGINS)

    def losses(self) -> list[Comparison]:
        """Full less each other condition; one Holm family."""
        return self._compared([(FULL.name, one.name) for one in self.conditions if one.kind != "full"])

    def against_missing(self) -> list[Comparison]:
        """A missing modality less a wrong one, at each rate at which both were asked."""
        missing = {(one.modalities, one.rate): one.name for one in self.conditions if one.kind == "drop"}
        wrong = [one for one in self.conditions if one.kind in ("noise", "wrong")]
        return self._compared(
            [(missing[key], one.name) for one in wrong if (key := (one.modalities, one.rate)) in missing]
        )

    def claims(self) -> list[tuple[Condition, NonInferiority]]:
        """For each modality with a margin that is wholly missing or wrong: that no more than the margin is lost."""
        scores = {system.name: system for system in self.evaluation.systems}
        users, metric = Users(self.evaluation.users), MARGIN_METRIC
        full = scores[FULL.name].averaged(metric)
        found = []
        for one in self.conditions:
            margin = self.margins.get(frozenset(one.modalities))
            if margin is not None and one.rate == 1.0:
                differences = users.pseudo_values(scores[one.name].averaged(metric) - full)
                found.append((one, non_inferiority(differences, margin)))
        return found

    def to_json(self) -> dict[str, Any]:
        """Means by condition, and losses, claims and what wrong costs more than missing, all in points."""
        whole = self.evaluation
        users = Users(whole.users)
        told = {
            "protocol": whole.protocol,
            "data_sha256": whole.data_sha256,
            "users": len(users),
            "cases": len(whole.users),
            "resamples": whole.how.resamples,
            "compared": list(whole.compared),
            "notes": list(whole.notes),
            "conditions": [
                {"name": one.name, "kind": one.kind, "modalities": list(one.modalities), "rate": one.rate}
                for one in self.conditions
            ],
            "systems": summary(whole.systems, users, whole.how),
            "losses": [_in_points(one) for one in self.losses()],
            "against_missing": [_in_points(one) | {"missing": one.ours} for one in self.against_missing()],
            "claims": [_claim(*one) for one in self.claims()],
        }
        plain: dict[str, Any] = json_ready(told)
        return plain

    def _compared(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        whole = self.evaluation
        return compare(whole.systems, pairs, Users(whole.users), metrics=whole.compared, how=whole.how)


def run_robustness(
    exam: Exam,
    systems: Mapping[Condition, Iterable[System]],
    *,
    margins: Mapping[frozenset[Modality], float] = MARGINS,
    data_sha256: str = "",
    how: Resampling | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Robustness:
    """The same fitted system through one exam under each condition.

    systems: condition -> the system under it, once per seed; walked once, one system at a time. The full
    features must be among them: raises ValueError where they are not.
    """
    if FULL not in systems:
        raise ValueError("losses are told against the full features; name the condition `full`, too")
    named = {condition.name: seeds for condition, seeds in systems.items()}
    outcome = run(exam, named, data_sha256=data_sha256, how=how, chunk=chunk, progress=progress)
    return Robustness(outcome, list(systems), margins)


def _in_points(one: Comparison) -> dict[str, Any]:
    """A loss: what the second of the two has less than the first."""
    low, high = (100 * bound for bound in one.ci95)
    return {
        "condition": one.theirs,
        "metric": one.metric,
        "points": 100 * one.difference,
        "ci95": [low, high],
        "verdict": {"above": "loss", "below": "gain", "no gain": "no loss shown"}.get(one.verdict, one.verdict),
        "significant": one.star,
        "p_holm": one.p_holm,
    }


def _claim(condition: Condition, test: NonInferiority) -> dict[str, Any]:
    return {
        "condition": condition.name,
        "modalities": list(condition.modalities),
        "metric": MARGIN_METRIC,
        "margin": 100 * test.margin,
        "points": -100 * test.mean,
        "at_most": -100 * test.lower,
        "p": test.p,
        "power": test.power,
        "verdict": test.verdict,
    }


def robustness_table(result: Mapping[str, Any]) -> Table:
    """Every condition: its means, what is lost, and the claim where there is a margin. result: the JSON."""
    metrics = [metric for metric in result["compared"] if all(metric in one for one in result["systems"].values())]
    losses = {(one["condition"], one["metric"]): one for one in result["losses"]}
    claims = {one["condition"]: _words(one) for one in result["claims"]}
    rows = []
    for name in (one["name"] for one in result["conditions"]):
        cells = [
            cell
            for metric in metrics
            for cell in (f"{result['systems'][name][metric]['mean']:.4f}", _loss(losses.get((name, metric))))
        ]
        rows.append((name, *cells, claims.get(name, "")))
    header = [column for metric in metrics for column in (metric, "loss")]
    return Table(("condition", *header, f"claim ({MARGIN_METRIC})"), tuple(rows), _FOOT)


def missing_table(result: Mapping[str, Any]) -> Table:
    """What a wrong modality costs more than a missing one."""
    metrics = list(dict.fromkeys(one["metric"] for one in result["against_missing"]))
    found = {(one["condition"], one["missing"], one["metric"]): one for one in result["against_missing"]}
    pairs = list(dict.fromkeys(key[:2] for key in found))
    rows = [(wrong, missing, *(_loss(found[wrong, missing, metric]) for metric in metrics)) for wrong, missing in pairs]
    return Table(("wrong", "missing", *(f"further loss in {metric}" for metric in metrics)), tuple(rows), _FOOT_MISSING)


def _loss(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    low, high = one["ci95"]
    bounds = "" if low is None or high is None else f" [{low:+.2f}, {high:+.2f}]"
    return f"{one['points']:+.2f}{bounds} {one['verdict']}{'*' if one['significant'] else ''}"


def _words(one: Mapping[str, Any]) -> str:
    if one["at_most"] is None:
        return "not shown: too few users"
    return f"{one['verdict']}: at most {one['at_most']:.2f} lost, {one['margin']:g} allowed"
