"""Streams as a whole: the JSON, weights of users, bands of windows, and the retrained comparison."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluation.fakes import Counting, CountingHistory, cases, dataset, events, random_rows

from dynmm.evaluation.ladder import ladder
from dynmm.evaluation.prequential import replay
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.retrained import DAY_MS, Retrained, extended
from dynmm.evaluation.scores import SystemScores
from dynmm.evaluation.streams import BLOCKS, curve, run_stream
from dynmm.interactions.dataset import Dataset
from dynmm.types import Events

ROWS = random_rows(500, n_users=20, n_items=40, seed=8)
BASE = dataset(ROWS[:299], n_users=20, n_items=40)
STREAM = Stream.of(BASE, events(ROWS[300:]), window=20_000)


def fitted(system: Counting) -> Counting:
    system.fit(BASE)
    return system


def test_the_json_has_the_promised_shape() -> None:
    old = cases([[1, 2], [3]], [[4], [5]])
    systems = {"dynmm": [fitted(CountingHistory())], "counting": [fitted(Counting()), fitted(Counting())]}
    told = run_stream(STREAM, systems, data_sha256="s", retention=old).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["protocol"] == "stream/event"
    assert told["cases"] == told["counts"]["events"] == 200
    assert told["users"] == len(set(STREAM.events.users.tolist()))
    assert set(told["update_seconds"]) == {"dynmm", "counting"}
    assert told["update_seconds"]["dynmm"] < 0.01
    assert sum(window["events"] for window in told["windows"]) == 200
    assert all(window["start"] % 20_000 == 0 for window in told["windows"])
    assert len(told["blocks"]) == BLOCKS
    assert len(told["systems"]["counting"]["hit@10"]["seeds"]) == 2
    assert told["systems"]["counting"]["hit@10"]["mean"] != told["systems_by_user"]["counting"]["hit@10"]["mean"]
    assert told["retention"]["dynmm"]["ci95"] == [0.0, 0.0]
    assert told["event_to_effect_ms"]["counting"]["samples"] > 0
    assert "counting" in ladder(told).to_text()


def test_windows_average_to_the_whole() -> None:
    told = run_stream(STREAM, {"counting": [fitted(Counting())]}).to_json()
    for part in ("windows", "blocks"):
        weighted = sum(w["events"] * w["systems"]["counting"]["hit@10"]["mean"] for w in told[part])
        assert weighted / 200 == pytest.approx(told["systems"]["counting"]["hit@10"]["mean"])


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[str, int, int, int]] = []
    run_stream(STREAM, {"c": [fitted(Counting())]}, progress=lambda *told: seen.append(told))
    assert seen[-1] == ("c", 0, 200, 200)
    assert [told[2] for told in seen] == sorted(told[2] for told in seen)


def test_bands_treat_a_users_events_as_one() -> None:
    """Forty events of two users are two observations; of forty users, forty."""
    values = {"hit@10": np.tile([1.0] * 20 + [0.0] * 20, (1, 2))}
    users = np.concatenate([np.repeat([0, 1], 20), np.arange(2, 42)])
    groups = np.repeat([0, 1], 40)
    few, many = curve([SystemScores("a", values)], users, groups, [(0, 1), (1, 2)])
    widths = [row["systems"]["a"]["hit@10"]["band"][1] - 0.5 for row in (few, many)]
    assert widths[0] == pytest.approx(1.96 * 0.5)
    assert widths[1] == pytest.approx(1.96 * np.sqrt(0.25 / 39))
    assert (few["users"], many["users"]) == (2, 40)


def test_a_window_of_one_user_has_no_band() -> None:
    (row,) = curve([SystemScores("a", {"hit@10": np.ones((1, 3))})], np.zeros(3, int), np.zeros(3, int), [(0, 1)])
    assert np.isnan(row["systems"]["a"]["hit@10"]["band"]).all()


class Remembering(Counting):
    """Counting that keeps the data sets of its fits and learns nothing between them."""

    fits: list[Dataset]

    def __init__(self) -> None:
        super().__init__("remembering")
        self.fits = []

    def fit(self, dataset: Dataset) -> None:
        self.fits.append(dataset)
        super().fit(dataset)

    def learn(self, events: Events) -> None:
        raise AssertionError("a retrained system learns by fitting only")


def daily(n_days: int, per_day: int = 4) -> Stream:
    rows = random_rows(40 + n_days * per_day, n_users=20, n_items=40, seed=2)
    later = [(u, i, DAY_MS * (1 + place // per_day) + place) for place, (u, i, _) in enumerate(rows[40:])]
    return Stream.of(dataset(rows[:40], n_users=20, n_items=40), events(later))


def test_retraining_fits_on_all_events_so_far_and_on_none_later() -> None:
    over, made = daily(10), []

    def factory() -> Remembering:
        made.append(Remembering())
        return made[-1]

    system = Retrained(factory, every_days=2)
    system.fit(over.base)
    replay(system, over)
    assert system.refits == 4
    fits = [one for system in made for one in system.fits][1:]
    for one in fits:
        times = one.events.timestamps
        assert times is not None
        newest = int(times.max())
        assert len(one.events) == len(over.base.events) + int((over.times <= newest).sum())
    newest_of_each = [int(one.events.timestamps.max()) // DAY_MS for one in fits if one.events.timestamps is not None]
    assert newest_of_each == [3, 5, 7, 9]


def test_retraining_answers_as_if_asked_one_by_one() -> None:
    over = daily(12)

    class Hasty(Retrained):
        quiet_until = None

    patient, hasty = Retrained(Remembering, 3), Hasty(Remembering, 3)
    patient.fit(over.base)
    hasty.fit(over.base)
    assert replay(patient, over).values["mrr"].tolist() == replay(hasty, over).values["mrr"].tolist()
    assert patient.refits == hasty.refits > 1


def test_refits_are_spread_over_a_long_stream_or_stop() -> None:
    over = daily(30)
    spread = Retrained(Remembering, 1, stream_days=30, max_refits=6)
    capped = Retrained(Remembering, 1, max_refits=6)
    for system in (spread, capped):
        system.fit(over.base)
        replay(system, over)
    assert spread.refits <= 6
    assert spread.name == "remembering-retrained-5d"
    assert capped.refits == 6
    with pytest.raises(ValueError, match="positive"):
        Retrained(Remembering, 0)


def test_a_warm_system_continues_from_itself() -> None:
    over, made = daily(6), []

    class Warm(Remembering):
        refitted = 0

        def refit(self, dataset: Dataset) -> None:
            self.refitted += 1
            self.fit(dataset)

    def factory() -> Warm:
        made.append(Warm())
        return made[-1]

    system = Retrained(factory, 2, name="warm")
    system.fit(over.base)
    at_fit = len(made)
    replay(system, over)
    assert len(made) == at_fit
    assert made[-1].refitted == system.refits > 1


def test_extended_keeps_users_together_and_in_order() -> None:
    base = dataset([(0, 1, 1), (2, 2, 2)], n_users=3, n_items=4)
    more = extended(base, [events([(2, 3, 5), (1, 0, 6)]), events([(0, 0, 7)])])
    assert [more.history(user).items.tolist() for user in range(3)] == [[1, 0], [0], [2, 3]]
    assert more.history(2).timestamps is not None
    assert base.history(1).items.tolist() == []
