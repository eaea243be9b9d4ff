"""Old users and old items: is what moves with a stream no worse for them than the model that was frozen before it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.evaluation.ladder import FROZEN, STATIC, WHOLE, Table
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.scores import SystemScores, Users, Weighting
from dynmm.evaluation.statistics import POWER, NonInferiority, non_inferiority

#: A user or an item is old with so many events before the stream.
OLD_EVENTS = 5

#: The metric that is tested, and the loss in it that is accepted: .2 points.
METRIC, MARGIN = "hit@10", 0.002

_WEIGHTINGS: Mapping[str, Weighting] = {"events": "case", "users": "user"}

_FOOT = (
    f"One-sided paired t test over users, 5 %, that no more than {100 * MARGIN:.1f} points of {METRIC} are lost to "
    f"{FROZEN} (where all users differ alike, the exact bound); old: with {OLD_EVENTS} events or more before the "
    "stream. not inferior: the lower bound is above the accepted loss. inferior: even the upper bound is below it. not "
    "shown: neither. underpowered: not shown, and so many users would show it in fewer than 4 of 5 cases even where "
    "nothing is lost."
)


def old_groups(stream: Stream) -> dict[str, NDArray[np.bool_]]:
    """(N,) events of old users, and events whose target is an old item."""
    base, events = stream.base, stream.events
    by_user = np.bincount(base.events.users, minlength=int(max(base.n_users, events.users.max(initial=0) + 1)))
    by_item = np.bincount(base.events.items, minlength=int(max(base.n_items, events.items.max(initial=0) + 1)))
    return {"old users": by_user[events.users] >= OLD_EVENTS, "old items": by_item[events.items] >= OLD_EVENTS}


def old_cases(systems: Sequence[SystemScores], stream: Stream) -> list[dict[str, Any]]:
    """The tests of the whole and of `dynmm/static` against the frozen model, where they are all there."""
    by_name = {one.name: one for one in systems}
    if FROZEN not in by_name:
        return []
    told = []
    for name in (one for one in (WHOLE, STATIC) if one in by_name):
        for group, rows in old_groups(stream).items():
            for over, weighting in _WEIGHTINGS.items():
                users = Users(stream.events.users[rows], weighting)
                told.append(_test(by_name[name], by_name[FROZEN], rows, users) | {"group": group, "over": over})
    return told


def _test(ours: SystemScores, frozen: SystemScores, rows: NDArray[np.bool_], users: Users) -> dict[str, Any]:
    reached = [one.averaged(METRIC)[rows] for one in (ours, frozen)]
    shown = non_inferiority(users.pseudo_values(reached[0] - reached[1]) if len(users) else np.empty(0), MARGIN)
    means = {"ours_mean": users.mean(reached[0]), "frozen_mean": users.mean(reached[1])}
    cases = {"cases": int(rows.sum()), "users": len(users)}
    return {"ours": ours.name, "metric": METRIC, **cases, **means, **vars(shown), "verdict": _word(shown)}


def _word(shown: NonInferiority) -> str:
    # Too few users have no power at all, which is nan.
    return "underpowered" if shown.verdict == "not shown" and not shown.power >= POWER else shown.verdict


def old_table(result: Mapping[str, Any]) -> Table:
    """The tests of a stream's JSON in words; no row without a frozen model."""
    rows = [
        (
            one["ours"],
            f"{one['group']}, over {one['over']}",
            f"{one['cases']:,}",
            f"{one['users']:,}",
            *("none" if one[mean] is None else f"{one[mean]:.4f}" for mean in ("ours_mean", "frozen_mean")),
            "none" if one["lower"] is None else f"{one['lower']:+.4f}",
            one["verdict"],
        )
        for one in result.get("old_cases", ())
    ]
    header = ("system", "for", "events", "users", METRIC, "frozen", "lower bound", "verdict")
    return Table(header, tuple(rows), _FOOT)
