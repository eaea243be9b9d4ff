"""How well an attacker tells the item that a target took from those that they did not.

The measure is the gain: the share of pairs (an item that the target took, one that they did not, alike in popularity
and in what other people did) in which the attacker picks the right one, less the half that a guess has; the area
under the ROC curve less one half. It needs no threshold, so none can be tuned to please, and it is an accuracy over
guessing. It is an average: what the attacker is sure of is told beside it, because few sure inferences can hide
in a small mean (Calandrino et al. 2011 judge attacks by these).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.scores import Resampling, Users, intervals, json_ready

#: The public view may give away so much over guessing.
BAR = 0.02

GAIN, FROM_TARGET = "gain", "gain from the target's own events"


@dataclass(frozen=True, eq=False)
class Guess:
    """One item that a target took, first, and those that it is to be told from.

    without, given: (1 + others,) facts that rose around each, without and with the target's events in the log.
    """

    target: int
    without: NDArray[np.int64]
    given: NDArray[np.int64]


def right_pairs(risen: NDArray[np.int64]) -> float:
    """The share of pairs (first, another) in which the first has risen more; a tie is half right."""
    first, others = risen[0], risen[1:]
    return float(((first > others) + 0.5 * (first == others)).mean())


def named(risen: NDArray[np.int64]) -> int | None:
    """The place of the item that the attacker names: the one that rose most, if there is one alone."""
    best = int(risen.argmax())
    return best if risen[best] > 0 and (risen == risen[best]).sum() == 1 else None


def attack_json(
    guesses: Mapping[str, Sequence[Guess]], *, bar: float = BAR, how: Resampling | None = None
) -> dict[str, Any]:
    """For each view the gains with 95 % intervals over targets, and what the attacker is sure of.

    gain: over a guess. from the target's own events: over the same attack without them. any_change: the rule "took it
    if anything rose": its hit and false alarm rates, and its balanced accuracy less one half. names: how often the
    attacker names one item, how often that is right, and how often it would be by lot.
    reached: the gain is at most the bar. shown: so is the upper end of its interval.
    """
    told = {name: _view(view, bar, how or Resampling()) for name, view in guesses.items()}
    plain: dict[str, Any] = json_ready(told)
    return plain


def _view(guesses: Sequence[Guess], bar: float, how: Resampling) -> dict[str, Any]:
    users = Users(np.array([one.target for one in guesses], dtype=np.int64))
    given = np.array([right_pairs(one.given) for one in guesses])
    columns = {GAIN: given - 0.5, FROM_TARGET: given - np.array([right_pairs(one.without) for one in guesses])}
    hits = np.array([float(one.given[0] > 0) for one in guesses])
    alarms = np.array([float((one.given[1:] > 0).mean()) for one in guesses])
    columns["any_change"] = (hits - alarms) / 2
    told: dict[str, Any] = {"attacks": len(guesses), "targets": len(users), "bar": bar}
    for (name, column), (low, high) in zip(columns.items(), intervals(list(columns.values()), users, how), strict=True):
        told[name] = {"mean": users.mean(column), "ci95": [low, high]}
    told["any_change"] |= {"hit_rate": users.mean(hits), "false_alarm_rate": users.mean(alarms)}
    told["reached"] = max(told[GAIN]["mean"], told[FROM_TARGET]["mean"]) <= bar
    told["shown"] = max(told[GAIN]["ci95"][1], told[FROM_TARGET]["ci95"][1]) <= bar
    places = [named(one.given) for one in guesses]
    sure = [place for place in places if place is not None]
    told["names"] = {
        "share": len(sure) / len(guesses),
        "right": sum(place == 0 for place in sure) / len(sure) if sure else float("nan"),
        "by_lot": float(np.mean([1.0 / len(one.given) for one in guesses])),
    }
    return told
