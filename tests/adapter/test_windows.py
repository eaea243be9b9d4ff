"""Windows: as long as the loss asks for, cut by batches, and each part of a step does its part."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tests.adapter.made import HOUR, Driver, adapter_of, ends_of, events_of

from dynmm.adapter import drift as drift_module
from dynmm.adapter.drift import Drift, Verdict
from dynmm.adapter.learning import _bounds


def _quiet_then_loud(drift: Drift) -> list[int]:
    """Milliseconds of a window of an hour, before anything, after quiet times, and after the loss has changed."""
    lengths = [drift.length(HOUR)]
    for _ in range(120):
        drift.add(0.1)
    lengths.append(drift.length(HOUR))
    for _ in range(40):
        drift.add(5.0)
    return [*lengths, drift.length(HOUR)]


def test_windows_grow_in_quiet_times_and_shrink_when_the_loss_changes() -> None:
    pytest.importorskip("river")
    drift = Drift(watch=True)
    before, quiet, changed = _quiet_then_loud(drift)
    assert (before, quiet) == (HOUR, 2 * HOUR)
    assert changed < quiet
    assert drift.verdict.changes


def test_without_drift_windows_keep_their_length() -> None:
    assert _quiet_then_loud(Drift(watch=False)) == [HOUR] * 3


def test_a_missing_library_is_told_when_something_is_learned_and_not_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    drift_module._warn_once.cache_clear()
    drift = Drift(watch=True)
    drift.copy()
    assert not caplog.messages
    assert _quiet_then_loud(drift) == [HOUR] * 3
    (told,) = caplog.messages
    assert "pip install 'dynmm[online]'" in told


def test_the_adapter_tells_the_loss_of_each_window_and_waits_as_long_as_is_decided() -> None:
    pytest.importorskip("river")
    adapter = adapter_of(drift=True)
    driver = Driver(adapter).feed(events_of(1_100))
    assert adapter.windows.drift.verdict.power == 1
    # An hour has ten of these events.
    first, last = ends_of(adapter)[:2], ends_of(adapter)[-2:]
    assert (first[1] - first[0], last[1] - last[0]) == (10, 20)
    assert not adapter.windows.drift.verdict.changes
    # Nobody takes any more what was taught.
    driver.feed([(user, 20 + user, time + 200 * HOUR) for user, _, time in events_of(600)])
    assert adapter.windows.drift.verdict.changes


def test_losses_are_kept_within_a_bound_and_a_restart_decides_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("river")
    monkeypatch.setattr("dynmm.adapter.drift._KEPT", 40)
    straight, restarted = Drift(watch=True), Drift(watch=True)
    verdicts = []
    for n in range(300):
        loss = 0.1 + 3.0 * (n >= 230) + 0.01 * (n % 7)
        straight.add(loss)
        again = Drift(watch=True)
        again.restore(json.loads(json.dumps(restarted.state())))
        again.add(loss)
        restarted = again
        assert restarted.state() == straight.state()
        assert len(straight.state()["seen"]) < 80
        verdicts.append(straight.verdict)
    assert verdicts[-1].changes > verdicts[229].changes


def test_the_log_knows_better_than_the_detector() -> None:
    drift = Drift(watch=False)
    drift.told = {3: Verdict(-1, 1, 0)}
    assert [drift.end(number).power for number in range(5)] == [0, 0, 0, -1, -1]
    assert not drift.told


def test_a_batch_ends_within_a_window() -> None:
    adapter = adapter_of(batch=25)
    Driver(adapter).feed([(user, item, n) for n, (user, item, _) in enumerate(events_of(80))])
    assert ends_of(adapter) == [25, 50, 75]


def test_averaged_weights_serve_and_not_those_that_train() -> None:
    adapter = adapter_of(ema=0.9)
    Driver(adapter).feed(events_of(400))
    assert torch.equal(adapter.kept[adapter.candidate], adapter.weights.ema)
    assert not torch.allclose(adapter.kept[adapter.candidate], adapter.weights.raw, atol=1e-4)
    assert adapter.trial.weights is not None
    assert torch.equal(adapter.trial.weights, adapter.kept[adapter.on_trial])


def _first_moment(**changes: Any) -> torch.Tensor:
    """A tenth of the gradient of the one step that was taken."""
    adapter = adapter_of(steps=1, stability=0.0, **changes)
    Driver(adapter).feed(events_of(11))
    assert adapter.learned == 8
    return adapter.weights.first


def test_a_step_is_as_long_as_the_bound_lets_it_be() -> None:
    short, shorter = _first_moment(clip=1e-4), _first_moment(clip=1e-5)
    assert float(short.norm()) > 0
    torch.testing.assert_close(short, 10 * shorter, rtol=1e-3, atol=1e-12)


def test_each_user_is_bounded_by_their_own_mean_gradient() -> None:
    people = torch.tensor([7, 7, 3])
    pulls = torch.tensor([[30.0, 0.0], [0.0, 50.0], [0.0, 2.0]])
    bounds = _bounds(people, pulls, torch.zeros(3, 1, 2), 10.0)
    torch.testing.assert_close(bounds, torch.tensor([0.25, 0.25, 1.0]))
